# What a system's root file system is made of: the directories and files that every one has, Debian
# packages of this machine, busybox with its links.
#
# All functions take an Archive and die, as that does, with a line. Nothing is ever downloaded or installed here.
package Root;
use strict;
use warnings;
use Exporter qw(import);
use POSIX ();

our @EXPORT_OK = qw(add_standard add_package_files add_busybox find_program @PATH);

# Where a program without a slash in its name is looked for, in this order.
our @PATH = qw(/bin /sbin /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin);

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
export PATH=/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin
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

# ---- Debian packages -------------------------------------------------------------------------------

# What a command of dpkg's prints; undef if it fails.
sub dpkg_query
{
	my @arguments = @_;
	my $pid = open my $from, '-|';
	die "cannot start a process: $!\n" unless defined $pid;
	if ($pid == 0) {
		open STDERR, '>', '/dev/null';
		exec 'dpkg-query', @arguments or POSIX::_exit(127);
	}
	local $/;
	my $output = <$from>;
	close $from or return undef;
	return $output;
}

sub is_installed
{
	my ($package) = @_;
	return 0 unless $package =~ /^[a-z0-9][a-z0-9+.-]*(?::[a-z0-9]+)?$/;
	return (dpkg_query('-W', '-f=${db:Status-Status}\n', $package) // '') =~ /^installed$/m;
}

# The files of installed packages, as they are on this machine; such as were removed since are left out. Other
# packages that these need are not looked for.
sub add_package_files
{
	my ($archive, @packages) = @_;
	my @missing = grep { !is_installed($_) } @packages;
	die "not installed here: @missing; install with\n    sudo apt-get install --no-install-recommends @missing\n" if @missing;
	for my $package (@packages) {
		my @listed = grep { m{^/.*[^/.]} } split /\n/, dpkg_query('-L', $package) // '';
		# Where this machine has a link in place of a package's directory (/bin), the package's way counts.
		my %is_directory = map { s{/[^/]*\z}{}r => 1 } @listed;
		for my $path (sort @listed) {
			if ($is_directory{$path} and -l $path) {
				$archive->add_directory($path, 0755) unless $archive->find($path);
			} elsif (lstat $path and not (-d _ and $archive->find($path))) {
				$archive->add_as_is($path, $path);
			}
		}
	}
}

# busybox, with a link for each of its applets in /bin.
sub add_busybox
{
	my ($archive) = @_;
	my $package = 'busybox-static';
	die "not installed here: $package; install with\n    sudo apt-get install --no-install-recommends $package\n"
		unless is_installed($package);
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
