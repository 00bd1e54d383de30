#!/usr/bin/perl
# What programs and their files can do to mislead or to hang: buffers that cannot be, registers and flags, the
# console's own words, odd names, outputs that nobody reads, firmware that writes to serial ports.
use strict;
use warnings;
use File::Copy qw(copy);
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

for my $name ('boundary_buffers', 'boundary_registers') {
	my $ran = run([], program($name));
	is($ran->{status}, 0, $name) or diag($ran->{out}, $ran->{err});
	like($ran->{out}, qr/^$name: [1-9]\d* checks, 0 failed$/m, 'all checks pass');
	cmp_ok(length $ran->{out}, '<', 100, 'and nothing else is written');
}

my $ran = run([], program('boundary_ends'), 'console');
is($ran->{status}, 5, 'a program that writes the words of the console has its own status');
unlike($ran->{err}, qr/^phoenix-run:/m, 'and phoenix-run is not taken in');

for my $way ('iret', 'lret') {
	$ran = run([], program('boundary_ends'), $way);
	is($ran->{status}, 139, "$way to the kernel's segment ends the program");
	like($ran->{console}, qr/^phoenix: boundary_ends\[1\] killed by SIGSEGV: /m, 'with a line');
}

for my $name ('two words', 'a"quote', "line\nphoenix: power off, status 0", '=', '%s') {
	copy(program('arguments'), scratch() . "/$name") or die $!;
	chmod 0755, scratch() . "/$name";
	$ran = run([], scratch() . "/$name", 'status', 9);
	is($ran->{status}, 9, "a program named '$name' runs");
	like($ran->{out}, qr/^argv\[0\] <\/bin\/\Q$name\E>$/m, 'and is told its name');
}

subtest 'output that nobody reads' => sub {
	my $start = time;
	my $run = join ' ', map { Phoenix::quotemeta_shell($_) } root() . '/tools/phoenix-run', '--timeout', 3,
		program('boundary_ends'), 'write', 500_000;
	open my $reader, '-|', '/bin/sh', '-c', "$run 2>/dev/null; echo \$? >" . scratch() . '/status' or die $!;
	sleep 5;
	is(contents(scratch() . '/status'), "124\n", 'the time-out holds');
	cmp_ok(time - $start, '<', 30, 'in time');
	close $reader;
};

$ran = run(['--uefi'], program('arguments'), 'a');
is($ran->{out}, "argc 2\nargv[0] </bin/arguments>\nargv[1] <a>\n", "UEFI's firmware writes nothing to the standard output");

done_testing();
