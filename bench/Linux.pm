# Linux for comparisons, in the same QEMU: Debian's kernel for virtual machines. apt-get downloads its package into the build directory, and nothing of it is
# installed. All functions die with a line.
package Linux;
use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(linux_machine linux_module);

use constant {
	PACKAGE => 'linux-image-cloud-amd64',

	# As lean as its command line allows.
	LEAN       => 'mitigations=off init_on_alloc=0 cgroup_disable=memory hardened_usercopy=off randomize_kstack_offset=off no5lvl',
	CPIO_ALIGN => 4,
};

# Its image, unpacked into `place` out of the package that the other one depends on.
sub linux_kernel
{
	my ($place) = @_;
	my ($there) = glob "$place/linux/boot/vmlinuz-*";
	return $there if defined $there;
	my ($package) = map { /^\s*Depends: (linux-image-\S+)/ ? $1 : () } qx(apt-cache depends @{[PACKAGE]} 2>/dev/null);
	die 'no package ' . PACKAGE . ": apt-get update?\n" unless defined $package;
	print STDERR "downloading $package\n";
	system("cd '$place' && apt-get download -q $package >apt.log 2>&1 && dpkg-deb -x $package*.deb linux") == 0
		or die "Linux's kernel cannot be had: $place/apt.log\n";
	($there) = glob "$place/linux/boot/vmlinuz-*";
	return $there // die "no kernel in $package\n";
}

# The file of a module: drivers/block/virtio_blk.
sub linux_module
{
	my ($place, $name) = @_;
	linux_kernel($place);
	my ($there) = glob "$place/linux/lib/modules/*/kernel/$name.ko";
	return $there // die "Linux's kernel has no module $name\n";
}

# The command that runs it for at most so many seconds with the files of an archive (tools/lib/Archive.pm), which is written into `place`; what it says comes on
# standard output. `line` is more of its command line, `options` are QEMU's.
sub linux_machine
{
	my ($place, $seconds, $archive, $line, @options) = @_;
	$archive->write("$place/linux.cpio", CPIO_ALIGN);
	return ('timeout', $seconds, 'qemu-system-x86_64', qw(-accel tcg -nodefaults -display none -no-reboot -serial stdio), '-kernel', linux_kernel($place),
		'-initrd', "$place/linux.cpio", '-append', join(' ', 'console=ttyS0 quiet panic=-1', LEAN, $line), @options);
}

1;
