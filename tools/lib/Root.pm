# What a system's root file system is made of: the directories and files that every one has, and busybox with its links. Debian
# packages are Packages.pm's, what their programs need Libraries.pm's.
#
# All functions take an Archive and die, as that does, with a line. Nothing is ever downloaded or installed here.
package Root;
use strict;
use warnings;
use Exporter qw(import);
use Packages qw(is_installed missing_packages);

our @EXPORT_OK = qw(add_standard add_busybox find_program @PATH);

# Where a program without a slash in its name is looked for, in this order, which is Debian's.
our @PATH = qw(/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin);

my %directories = (
	bin => 0755, dev => 0755, 'dev/shm' => 01777, etc => 0755, proc => 0555, root => 0700, sbin => 0755,
	sys => 0555, tmp => 01777, 'usr/bin' => 0755, 'usr/sbin' => 0755, 'var/tmp' => 01777,
);

my %files = (
	'etc/hostname' => "phoenix\n",
	'etc/passwd'   => join("\n",
		'root:x:0:0:root:/root:/bin/sh',
		'daemon:x:1:1:daemon:/:/bin/false',
		'bin:x:2:2:bin:/bin:/bin/false',
		'nobody:x:65534:65534:nobody:/:/bin/false', ''),
	'etc/group' => join("\n",
		'root:x:0:', 'daemon:x:1:', 'bin:x:2:', 'tty:x:5:', 'users:x:100:', 'nobody:x:65534:', 'nogroup:x:65534:', ''),
	'etc/profile' => <<'END',
# For login shells.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME="${HOME:-/root}"
case $- in
*i*)
	PS1='phoenix:\w\$ '
	for program in vmstat vmmap vmexplain; do
		[ -x /bin/$program ] && programs="$programs $program"
	done
	echo "Phoenix VM.${programs:+ What memory does:$programs.} exit powers off."
	unset program programs
	;;
esac
END
);

# The directories and files that every system has, where nothing has their names yet.
sub add_standard
{
	my ($archive) = @_;
	for my $name (sort keys %directories) {
		$archive->add_directory($name, $directories{$name}) unless $archive->find($name);
	}
	for my $name (sort keys %files) {
		$archive->add_bytes($name, $files{$name}) unless $archive->find($name);
	}
}

# ---- Packages ---------------------------------------------------------------------------------------

# busybox, with a link for each of its applets in /bin.
sub add_busybox
{
	my ($archive) = @_;
	my $package = 'busybox-static';
	die missing_packages($package) unless is_installed($package);
	$archive->add_as_is('bin/busybox', '/bin/busybox');
	open my $from, '-|', '/bin/busybox', '--list' or die "cannot run /bin/busybox: $!\n";
	my @applets = <$from>;
	close $from or die "/bin/busybox --list failed\n";
	chomp @applets;
	$archive->add_symlink("bin/$_", 'busybox') for grep { $_ ne 'busybox' } @applets;
}

# ---- Programs --------------------------------------------------------------------------------------

# The absolute path under which the system has the program that is called NAME, which may be sought in PATH; undef if
# it has none.
sub find_program
{
	my ($archive, $name) = @_;
	my @candidates = $name =~ m{/} ? ($name =~ s{^/*}{/}r) : map { "$_/$name" } @PATH;
	my ($found) = grep { $archive->find($_) } @candidates;
	return $found;
}

1;
