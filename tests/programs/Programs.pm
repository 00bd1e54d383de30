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
use Test::More;

our @EXPORT = qw(built install busybox install_busybox on_linux on_phoenix phoenix_command run_script read_tap);

use constant {
	TIMEOUT     => 300,
	LEAST       => 3072,   # KiB, without which a system does not start
	TOLERANCE   => 1024,   # KiB: RAM comes in MiB
	OF_PAGES    => 0.9883, # the part of RAM that is not for the description of its pages
	MUCH_LONGER => 10,     # it may take while it pages
};

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

# Boots the tree with a script for busybox's shell as its first program, as run_script has it.
sub on_phoenix
{
	my ($ram, $options, $script) = @_;
	return run_script($ram, TIMEOUT, [tree_options(@$options)], ['/bin/busybox', 'sh'], $script);
}

# For any shell. Figures of the system go to the standard error; `watch` says each time that less memory is free than ever before.
my $figures = <<'END';
figures() { while read -r name number rest; do case $name in MemFree: | pswpout) echo "figure ${name%:} $number" >&2; esac; done <$1; }
watch() {
	least=
	while :; do
		while read -r name number rest; do
			case $name in MemFree:)
				if [ "${least:-$((number + 1))}" -gt $number ]; then least=$number; echo "figure MemFree $number" >&2; fi
			esac
		done </proc/meminfo
		sleep 0.02
	done
}
END

# All that was said of one figure.
sub figures_of
{
	my ($ran, $name) = @_;
	return $ran->{err} =~ /^figure \Q$name\E (\d+)$/mg;
}

# Boots a system with so many MiB of RAM and a shell, as words, that runs the script: {status, out, err, console}.
#
# With PROGRAMS_MEMORY=half in the environment it runs with half of the memory that it needs, and swap. What it needs is how much less was free at the worst
# moment, of those that were looked at, than at the start, in a run with all of its RAM: so the kernel and the boot archive are not counted, which cannot be halved, as the archive
# is in memory. Half of that is free when the shell starts the second time. There is as much swap as there was RAM, so that what is promised is the same.
sub run_script
{
	my ($ram, $timeout, $options, $shell, $script) = @_;
	return Phoenix::run(['--mem', $ram, '--timeout', $timeout, @$options], @$shell, '-c', $script) if ($ENV{PROGRAMS_MEMORY} // '') ne 'half';

	my @machine = ('--swap', $ram, '--timeout', $timeout * MUCH_LONGER, @$options);
	my $ran = Phoenix::run(['--mem', $ram, @machine], @$shell, '-c', "${figures}watch &\n$script\nkill \$!");
	my ($start, $least) = (figures_of($ran, 'MemFree'))[0, -1];
	my $needed = $start - $least;
	my $half = $needed / 2 > LEAST ? $needed / 2 : LEAST; # halves of little are not to be had
	$ram = int($ram - ($start - $half) / OF_PAGES / 1024 + 0.5);
	$ran = Phoenix::run(['--mem', $ram, @machine], @$shell, '-c',
		"${figures}figures /proc/meminfo\n$script\nstatus=\$?\nfigures /proc/vmstat\nexit \$status");
	my ($free) = figures_of($ran, 'MemFree');
	my ($paged) = figures_of($ran, 'pswpout');
	note("RAM: $ram MiB; needed: $needed KiB; free: ", $free // 0, ' KiB; paged out: ', $paged // 0, ' pages');
	cmp_ok(abs(($free // 0) - $half), '<=', TOLERANCE, 'half of what is needed is free');
	cmp_ok($paged // 0, '>', 0, 'it pages') if $half > LEAST;
	unlike($ran->{console}, qr/no memory for/, 'nobody is ended for lack of memory');
	return $ran;
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
