# What the tests of this directory share: running a program, or only the kernel, by tools/phoenix-run, and looking at
# everything that came out.
package Phoenix;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp;

our @EXPORT = qw(run program root scratch contents write_file);

my $root = dirname(dirname(dirname(abs_path(__FILE__))));
chdir $root or die "$root: $!";

my $scratch = File::Temp->newdir('phoenix-test-XXXXXX', TMPDIR => 1);
$ENV{TMPDIR} = "$scratch"; # console logs that phoenix-run keeps go there

# Longer than anything takes on a slow machine; a test that hangs fails instead of hanging.
use constant TIMEOUT => 120;

sub root    { return $root }
sub scratch { return "$scratch" }

sub built
{
	my $build = $ENV{BUILD} || 'build';
	return $build =~ m{^/} ? $build : "$root/$build";
}

# The path of a test program.
sub program
{
	my ($name) = @_;
	return built() . "/user/tests/$name";
}

sub contents
{
	my ($path) = @_;
	open my $from, '<:raw', $path or return '';
	local $/;
	return scalar <$from> // '';
}

sub write_file
{
	my ($name, $bytes) = @_;
	open my $to, '>:raw', "$scratch/$name" or die "$scratch/$name: $!";
	print $to $bytes;
	close $to or die "$scratch/$name: $!";
	return "$scratch/$name";
}

# run([options], PROGRAM, ARGS...): a reference to {status, out, err, console}. A first option {input => BYTES} is what
# the program reads.
sub run
{
	my ($options, @words) = @_;
	my @options = @$options;
	my $input = @options && ref $options[0] ? (shift @options)->{input} : '';
	my $console = "$scratch/console";
	unlink $console;
	@words = map { quotemeta_shell($_) } @words;
	my $input_file = write_file('input', $input);
	my $command = join ' ', map({ quotemeta_shell($_) } "$root/tools/phoenix-run", '--timeout', TIMEOUT, '--console',
		$console, @options), @words, "<$input_file >$scratch/out 2>$scratch/err";
	system '/bin/sh', '-c', $command;
	my $status = $? & 127 ? "signal " . ($? & 127) : $? >> 8;
	return {status => $status, out => contents("$scratch/out"), err => contents("$scratch/err"),
		console => contents($console)};
}

sub quotemeta_shell
{
	my ($word) = @_;
	$word =~ s/'/'\\''/g;
	return "'$word'";
}

1;
