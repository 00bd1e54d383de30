# Linux for comparisons, in the same QEMU: Debian's kernel for virtual machines. apt-get downloads its package into the build directory, and nothing of it is
# installed. All functions die with a line.
package Linux;
use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(linux_kernel linux_module LINUX_LEAN);

use constant {
	PACKAGE => 'linux-image-cloud-amd64',

	# As lean as its command line allows.
	LINUX_LEAN => 'mitigations=off init_on_alloc=0 cgroup_disable=memory hardened_usercopy=off randomize_kstack_offset=off no5lvl',
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

1;
