#!/usr/bin/perl
# Files that are not executables for this system: each is refused with a line that says why, and status 126.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

sub refused
{
	my ($ran, $name, $reason) = @_;
	my ($line) = $ran->{console} =~ /^(phoenix: cannot run \S+: .*)$/m;
	my $fine = $ran->{status} == 126 && defined $line && $line =~ /: .*(?:$reason)/ && $ran->{out} eq ''
		&& index($ran->{err}, $line) >= 0 && $ran->{console} =~ /^phoenix: power off, status 126\n\z/m
		&& $ran->{console} !~ /panic|leaked/;
	ok($fine, "$name: " . ($line // 'no reason')) or diag("status $ran->{status}, wanted: $reason\n", $ran->{console});
}

my $directory = scratch() . '/bad';
mkdir $directory;
my @list = split /\n/, qx('$FindBin::Bin/mkbadelf' '$directory' '@{[program('first')]}');
cmp_ok(scalar @list, '>', 50, 'there are files to refuse');
for (@list) {
	my ($name, $reason) = split /\t/;
	refused(run([], "$directory/$name"), $name, $reason);
}

# Programs whose interpreter is not there, or none.
my $source = write_file('nothing.c', "int main(void) { return 0; }\n");
my $text = write_file('text', "no interpreter\n");
chmod 0755, $text;
for (['absent', '/no/such/loader', 'needs interpreter /no/such/loader, which is not here'],
	['text', '/text', 'its interpreter /text cannot be used: .*ELF'], ['directory', '/dev', 'its interpreter /dev cannot be used'],
	['unnamed', '', 'interpreter']) {
	my ($name, $interpreter, $reason) = @$_;
	system('gcc', "-Wl,--dynamic-linker=$interpreter", '-o', "$directory/$name", $source) == 0 or die 'gcc';
	refused(run(['--file', "$text:/text"], "$directory/$name"), "interpreter: $name", $reason);
}

# What phoenix-run itself can tell.
for (['no program', 126], ['a program that is not there', 127, '/no/such/program'], ['a directory', 126, '/tmp']) {
	my ($name, $status, @words) = @$_;
	my $ran = run([], @words);
	is($ran->{status}, $status, "$name: status $status");
	like($ran->{err}, qr/^phoenix-run: \S.*$/m, "$name: a line says so");
	is($ran->{out}, '', "$name: nothing else");
}

# And the kernel, when the command line or the archive has no program.
my $ran = run(['--append', 'init=/bin/nothing'], program('first'));
is($ran->{status}, 126, 'init= names no file: status 126');
like($ran->{console}, qr{^phoenix: cannot run /bin/nothing: }m, 'and a line says so');
$ran = run(['--append', 'init='], program('first'));
is($ran->{status}, 126, 'init= is empty: status 126');
like($ran->{console}, qr/^phoenix: no program/m, 'and a line says so');

is(run([], program('first'))->{out}, "first\n", 'what the bad ones were made of is good');
done_testing();
