#!/usr/bin/perl
# tools/phoenix-run itself: its options and mistakes in them, time-outs, interrupts, and that it leaves nothing behind.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;
use Time::HiRes qw(sleep time);

sub refuses
{
	my ($options, $status, $line) = @_;
	my $ran = run($options, program('first'));
	is($ran->{status}, $status, "@$options: status $status");
	like($ran->{err}, $line, "@$options: says why");
}

refuses(['--nonsense'], 125, qr/unknown option --nonsense/);
refuses(['--mem', 'lots'], 125, qr/--mem: 'lots'/);
refuses(['--cpus=0'], 125, qr/--cpus: '0'/);
refuses(['--env', 'novalue'], 125, qr/not NAME=VALUE/);
refuses(['--file', '/no/such/file'], 125, qr/no such file/);
refuses(['--kernel', '/no/such/kernel'], 125, qr/no kernel/);
refuses(['--grub', '--uefi'], 125, qr/exclude/);

my $ran = run(['--help']);
is($ran->{status}, 0, '--help');
like($ran->{out}, qr/^usage: phoenix-run/, 'prints the usage');

$ran = run(['--verbose'], program('first'));
is($ran->{out}, "first\n", '--verbose: the program on the standard output');
like($ran->{err}, qr/^phoenix: power off, status 0$/m, 'and the console on the error output');

# Starts a program that waits for input that does not come; returns its process.
sub start_waiting
{
	my @options = @_;
	pipe my $input, my $keep or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<&', $input;
		open STDOUT, '>', scratch() . '/waiting.out';
		open STDERR, '>', scratch() . '/waiting.err';
		close $keep;
		exec root() . '/tools/phoenix-run', @options, program('cat') or exit 99;
	}
	close $input;
	return ($pid, $keep);
}

# QEMU processes whose command line names our scratch directory.
sub our_qemus
{
	my $scratch = scratch();
	return grep { /^\d+$/ && contents("/proc/$_/cmdline") =~ /^qemu.*\Q$scratch\E/s } map { s{.*/}{}r } glob '/proc/[0-9]*';
}

sub left_over
{
	return grep { !m{/phoenix-console\.} } glob scratch() . '/phoenix-run.*';
}

{
	my $start = time;
	my ($pid, $keep) = start_waiting('--timeout', '1.5');
	waitpid $pid, 0;
	is($? >> 8, 124, '--timeout: status 124');
	cmp_ok(time - $start, '<', 10, 'in time');
	like(contents(scratch() . '/waiting.err'), qr/stopped.*\n.*console is in/, 'says so, and where the console is');
	is_deeply([our_qemus()], [], 'no QEMU is left');
}

for (['INT', 130], ['TERM', 143]) {
	my ($signal, $status) = @$_;
	my ($pid, $keep) = start_waiting();
	for (1 .. 100) {
		last if our_qemus();
		sleep 0.05;
	}
	ok(scalar our_qemus(), 'QEMU runs');
	sleep 0.3;
	kill $signal, $pid;
	waitpid $pid, 0;
	is($? >> 8, $status, "SIG$signal: status $status");
	is_deeply([our_qemus()], [], 'no QEMU is left');
}

{
	my ($pid, $keep) = start_waiting();
	for (1 .. 100) {
		last if our_qemus();
		sleep 0.05;
	}
	kill 'KILL', $pid;
	waitpid $pid, 0;
	for (1 .. 100) {
		last unless our_qemus();
		sleep 0.05;
	}
	is_deeply([our_qemus()], [], 'SIGKILL: no QEMU is left either');
	system 'rm', '-rf', left_over();
}

my $command = join ' ', map { "'$_'" } root() . '/tools/phoenix-run', program('output'), 100000;
my $lines = qx($command </dev/null 2>/dev/null | head -n 2);
is(() = $lines =~ /\n/g, 2, 'a reader that stops reading');
is_deeply([our_qemus()], [], 'no QEMU is left');

is_deeply([left_over()], [], 'no file is left');
done_testing();
