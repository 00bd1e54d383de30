# Debian packages of this machine: which ones a package needs, and their files as they are here.
#
# All functions take an Archive and die, as that does, with a line. Nothing is ever downloaded or installed: what is not here is
# named, with the command that installs it.
package Packages;
use strict;
use warnings;
use Exporter qw(import);
use POSIX ();

our @EXPORT_OK = qw(add_package_files add_path is_installed missing_packages);

use constant ARCHITECTURE => 'amd64'; # as Debian calls x86-64

# What a package brings for people, and no program reads: left out of those that are only needed by others.
my $for_people = qr{^/usr/share/(?:bug|doc|doc-base|info|lintian|locale|man)(?:/|\z)};

my $alternatives = '/var/lib/dpkg/alternatives';

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

# ---- What there is ----------------------------------------------------------------------------------

# Of each installed package by its name: {name: with its architecture where that is needed, needs: its dependencies}. And which packages
# stand for a name that is no package.
my ($installed, $provided);

sub read_status
{
	return if $installed;
	($installed, $provided) = ({}, {});
	my $format = join('\t', map { "\${$_}" } qw(Package Architecture db:Status-Status Pre-Depends Depends Provides)) . '\n';
	for (split /\n/, dpkg_query('-W', "-f=$format") // '') {
		my ($name, $architecture, $status, $first, $needs, $provides) = split /\t/, $_, -1;
		next unless $status eq 'installed' and ($architecture eq ARCHITECTURE or $architecture eq 'all');
		$installed->{$name} = {name => $name . ($architecture eq 'all' ? '' : ':' . ARCHITECTURE),
			needs => [split /,/, "$first,$needs"]};
		push @{$provided->{$_}}, $name for map { /^\s*([^\s(]+)/ ? $1 : () } split /,/, $provides;
	}
}

sub is_installed
{
	my ($package) = @_;
	read_status();
	return exists $installed->{$package =~ s/:(?:any|@{[ARCHITECTURE]})\z//r};
}

# The line that says what is not here.
sub missing_packages
{
	return "not installed here: @_; install with\n    sudo apt-get install --no-install-recommends @_\n";
}

# The package that is here of the alternatives of a dependency, "a (>= 1) | b:any"; undef if there is none.
sub one_of
{
	my ($alternatives) = @_;
	for (split /\|/, $alternatives) {
		my ($name) = /^\s*([^\s(:]+)/ or next;
		return $name if $installed->{$name};
		return $provided->{$name}[0] if $provided->{$name};
	}
	return undef;
}

# The packages and all that they depend on, the given ones first.
sub with_dependencies
{
	my @all = map { s/:.*//r } @_;
	my %known = map { $_ => 1 } @all;
	my %missing;
	for (my $n = 0; $n < @all; $n++) {
		for my $dependency (grep { /\S/ } @{$installed->{$all[$n]}{needs}}) {
			my $package = one_of($dependency);
			if (not defined $package) {
				$missing{$1} = 1 if $dependency =~ /^\s*([^\s(:|]+)/;
			} elsif (not $known{$package}++) {
				push @all, $package;
			}
		}
	}
	die missing_packages(sort keys %missing) if %missing;
	return @all;
}

# The paths of the packages' files and directories.
sub files_of
{
	my @names = map { $installed->{$_}{name} } @_;
	return @names ? grep { m{^/.*[^/.]} } split /\n/, dpkg_query('-L', @names) // '' : ();
}

# ---- Putting them in --------------------------------------------------------------------------------

# A path of this machine under its own name. Directories on the way that are links here (/bin) are links in the archive too, unless it has a
# directory there.
sub add_path
{
	my ($archive, $path) = @_;
	my $above = '';
	for my $part (grep { length } split m{/}, $path =~ s{/[^/]*\z}{}r) {
		$above .= "/$part";
		next if $archive->{walked}{$above}++ or $archive->find($above);
		if (-l $above) {
			$archive->add_as_is($above, $above);
		} elsif (-d _) {
			$archive->add_as_is($above, $above);
		}
	}
	lstat $path or return;
	$archive->add_as_is($path, $path) unless (-d _ or -l _ && -d $path) and $archive->find($path);
}

# The modules that a package's Python files were compiled to when it was installed.
sub compiled_modules
{
	my %directories = map { m{^(.*)/[^/]+\.py\z} ? ($1 => 1) : () } @_;
	return map { glob("\Q$_\E/__pycache__/*.pyc") } sort keys %directories;
}

# Links that this machine keeps for the packages' programs (update-alternatives(1)): the name, what it leads to, and the public link.
sub add_alternatives
{
	my ($archive) = @_;
	for my $file (glob "$alternatives/*") {
		open my $from, '<', $file or next;
		chomp(my @lines = <$from>);
		my ($name) = $file =~ m{([^/]+)\z};
		# How it is chosen, then a link, and names and links of those that go with it, until an empty line.
		my %links = ($name => $lines[1]);
		for (my $n = 2; $n + 1 < @lines and $lines[$n] ne ''; $n += 2) {
			$links{$lines[$n]} = $lines[$n + 1];
		}
		for my $each (sort keys %links) {
			my $chosen = readlink "/etc/alternatives/$each" // next;
			next unless $archive->find($chosen) and -l $links{$each} and not $archive->find($links{$each});
			add_path($archive, "/etc/alternatives/$each");
			add_path($archive, $links{$each});
		}
	}
}

# A shell, which programs take for granted, as every Debian has one and no package says that it needs it.
sub add_shell
{
	my ($archive) = @_;
	return if $archive->find('bin/sh') or not is_installed('dash');
	add_path($archive, $_) for grep { m{^/bin/} } sort(files_of('dash'));
}

# The files of installed packages, and of those that these depend on, as they are on this machine; such as were removed since are left out.
sub add_package_files
{
	my ($archive, @packages) = @_;
	return unless @packages;
	my @missing = grep { !is_installed($_) } @packages;
	die missing_packages(@missing) if @missing;
	my @all = with_dependencies(@packages);
	my @given = splice @all, 0, scalar @packages;
	my @paths = (files_of(@given), grep { !/$for_people/ } files_of(@all));
	# A directory comes before what is in it.
	add_path($archive, $_) for sort @paths;
	add_path($archive, $_) for compiled_modules(@paths);
	add_alternatives($archive);
	add_shell($archive);
}

1;
