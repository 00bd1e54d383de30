# Disks to page to: what --swap and SWAP= understand, and what QEMU and the kernel are told of it.
#
#   256, 512M, 2G           a temporary sparse file of that many MiB (or M, G)
#   FILE                    a file or block device
#   nbd://HOST[:PORT][/EXPORT], nbd+unix:///[EXPORT]?socket=PATH, json:{...}
#                           whatever QEMU can open as a disk
#
# each with ",pri=N" (-1 to 32767) after it where it has a priority.
package Swap;
use strict;
use warnings;
use Exporter qw(import);
use Fcntl qw(O_WRONLY O_CREAT O_EXCL);

our @EXPORT_OK = qw(parse_swap swap_options swap_word);

use constant {
	MAX_DISKS    => 8,       # as kern/dev/virtio_blk.c has it
	MIB          => 1 << 20,
	MIN_BYTES    => 1 << 16,
	MAX_MIB      => 1 << 24,
	MAX_PRIORITY => 32767,
};

my %mebibytes = ('' => 1, M => 1, G => 1024);

# Dies with what is wrong, a line without its end.
sub parse_swap
{
	my ($text, $number) = @_;
	my ($source, $priority) = $text =~ /^(.*?)(?:,pri=([^,]*))?$/s;
	die "'$text': there may be " . MAX_DISKS . " disks\n" if $number >= MAX_DISKS;
	die "'$text': the priority is not a number, -1 to " . MAX_PRIORITY . "\n"
		if defined $priority and ($priority !~ /^-?\d{1,5}$/ or $priority < -1 or $priority > MAX_PRIORITY);
	my %swap = (priority => $priority);
	if ($source =~ /^(\d+)([MG]?)$/) {
		my $size = $1 * $mebibytes{$2};
		die "'$source': the size is not 1 to " . MAX_MIB . " MiB\n" if $size < 1 or $size > MAX_MIB;
		$swap{bytes} = $size * MIB;
	} elsif ($source =~ /^(?:nbd(?:\+\w+)?:|json:)/) {
		$swap{source} = $source;
	} else {
		die "'$source': neither a size in MiB nor a file: $!\n" unless length $source and -e $source;
		die "'$source': not an ordinary file or block device\n" unless -f _ or -b _;
		die "'$source': cannot be read and written: $!\n" unless -r $source and -w $source;
		die "'$source': smaller than " . MIN_BYTES / 1024 . " KiB\n" if -f $source and -s _ < MIN_BYTES;
		# Else QEMU takes what is before a colon for a protocol.
		$swap{source} = $source =~ m{^/} ? $source : "./$source";
	}
	return \%swap;
}

# A file that takes no room before it is written to. Dies if it cannot be.
sub make_file
{
	my ($path, $bytes) = @_;
	sysopen my $to, $path, O_WRONLY | O_CREAT | O_EXCL, 0600 or die "cannot make $path: $!\n";
	truncate $to, $bytes and close $to or die "cannot make $path: $!\n";
}

# QEMU's options for a disk; a temporary file is made in the directory. Errors of the disk are the system's to deal with.
sub swap_options
{
	my ($swap, $number, $directory) = @_;
	my $file = $swap->{source};
	unless (defined $file) {
		$file = "$directory/swap$number";
		make_file($file, $swap->{bytes});
	}
	$file =~ s/,/,,/g;
	# A description says itself what it is.
	my $format = $file =~ /^json:/ ? '' : 'format=raw,';
	return ('-drive', "file=$file,${format}if=none,id=swap$number",
		'-device', "virtio-blk-pci,drive=swap$number,rerror=report,werror=report");
}

# The word for the kernel's command line.
sub swap_word
{
	my ($swap, $number) = @_;
	return 'swap=vd' . chr(ord('a') + $number) . (defined $swap->{priority} ? ",pri=$swap->{priority}" : '');
}

1;
