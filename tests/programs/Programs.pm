# What the tests of this directory share: a directory tree that is the same for this machine's Linux and for Phoenix, running a
# program in it on both, and reading what programs say.
package Programs;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use lib dirname(dirname(abs_path(__FILE__))) . '/qemu';
use Phoenix;

our @EXPORT = qw(built install busybox install_busybox on_linux on_phoenix phoenix_command read_tap);

use constant TIMEOUT => 300;

my $tree  = Phoenix::scratch() . '/tree';
my $links = Phoenix::scratch() . '/busybox';

sub built { return Phoenix::built() . '/programs' }

# Puts a file into the tree, at /DIR of it.
sub install
{
	my ($file, $to) = @_;
	make_path("$tree/$to");
	copy($file, "$tree/$to") or die "$file: $!";
	my ($name) = $file =~ m{([^/]+)$};
	chmod((stat $file)[2] & 07777, "$tree/$to/$name");
	return "/$to/$name";
}

# A directory with the busybox of this machine under all its names, and the other shells: Linux's PATH, when the same is to run on
# both.
sub busybox
{
	return $links if -d $links;
	make_path($links);
	symlink "/bin/$_", "$links/$_" for 'bash-static', 'zsh-static';
	symlink '/bin/busybox', "$links/$_" for applets();
	return $links;
}

# The same names in the tree.
sub install_busybox
{
	make_path("$tree/bin");
	symlink 'busybox', "$tree/bin/$_" for grep { $_ ne 'busybox' } applets();
}

sub applets { return split /\n/, `busybox --list` }

# Runs words on this machine in a new directory: {status, out}, the error output with the output.
sub on_linux
{
	my ($path, @words) = @_;
	my $place = Phoenix::scratch() . '/linux';
	make_path($place);
	my $command = join ' ', map { Phoenix::quotemeta_shell($_) } 'env', '-i', "PATH=$path", 'HOME=/', 'TERM=dumb', "TMPDIR=$place",
		"TEST_DIR=$place", @words;
	my $out = `cd $place && timeout 120 $command </dev/null 2>&1`;
	my $status = $? >> 8;
	system 'rm', '-rf', $place;
	return {status => $status, out => $out};
}

# Options of phoenix-run for the tree, and more.
sub tree_options
{
	my (@more) = @_;
	make_path($tree);
	return ('--root', $tree, '--deb', 'busybox-static', '--env', 'TERM=dumb', @more, '--');
}

# Boots the tree with the words as its first program: {status, out, err, console}.
sub on_phoenix
{
	my ($options, @words) = @_;
	return Phoenix::run([tree_options('--timeout', TIMEOUT, @$options)], @words);
}

# The same as a command for the shell.
sub phoenix_command
{
	my ($options, @words) = @_;
	return join ' ', map { Phoenix::quotemeta_shell($_) } Phoenix::root() . '/tools/phoenix-run', tree_options(@$options), @words;
}

# A program's TAP: {planned, results => [{name, passed, skipped, notes}]}.
sub read_tap
{
	my ($text) = @_;
	my %tap = (planned => -1, results => []);
	my @notes;
	for (split /\n/, $text) {
		if (/^1\.\.(\d+)$/) {
			$tap{planned} = $1;
		} elsif (/^(not )?ok (\d+) - (.*?)( # SKIP)?$/) {
			push @{$tap{results}}, {name => $3, passed => !$1, skipped => !!$4, notes => [@notes]};
			@notes = ();
		} else {
			push @notes, $_;
		}
	}
	$tap{rest} = \@notes;
	return \%tap;
}

1;
