#!/usr/bin/perl
# phoenix-run on a terminal: keys and output pass, the terminal is raw meanwhile and as before afterwards, however that comes
# to be; and where only one of input and output is a terminal.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use POSIX qw(:termios_h);
use Pty;
use Test::More;
use Time::HiRes qw(sleep);

use constant PATIENCE => 60; # seconds, on a slow machine

$ENV{TERM} = 'test-terminal';
my $run = root() . '/tools/phoenix-run';

# Starts it, and waits until the program can read; the settings from before.
sub start_cat
{
	my $pty = Pty->start(33, 99, $run, '--timeout', PATIENCE, program('cat'));
	my $before = $pty->settings;
	ok(defined $pty->expect(qr/^memory: .*\n/m, PATIENCE), 'the console is on the terminal');
	return ($pty, $before);
}

subtest 'keys and output' => sub {
	my ($pty, $before) = start_cat();
	my (undef, $output, undef, $local) = @{$pty->settings};
	is($local & (ICANON | ECHO | ISIG | IEXTEN), 0, 'the terminal leaves keys alone');
	is($output & OPOST, 0, 'and output');
	$pty->type("hello\r");
	ok(defined $pty->expect(qr/hello\r\n/, PATIENCE), 'a line goes there and back');
	$pty->type("\x01\x01\r");
	ok(defined $pty->expect(qr/\x01\r\n/, PATIENCE), '^A ^A is one ^A');
	$pty->type("\x01z\r");
	ok(defined $pty->expect(qr/\n/, PATIENCE), '^A and another letter is nothing');
	$pty->type("\x04");
	ok(defined $pty->expect(qr/9 bytes\r\n/, PATIENCE), '^D ends the input');
	my ($status, $rest) = $pty->finish(PATIENCE);
	is($status, 0, 'status') or diag($rest);
	is_deeply($pty->settings, $before, 'the settings are as before');
};

subtest '^A X' => sub {
	my ($pty, $before) = start_cat();
	$pty->type("\x01x");
	is(($pty->finish(PATIENCE))[0], 130, 'stops it');
	is_deeply($pty->settings, $before, 'the settings are as before');
};

for (['TERM', 143], ['HUP', 129], ['QUIT', 131]) {
	my ($signal, $expected) = @$_;
	subtest "SIG$signal" => sub {
		my ($pty, $before) = start_cat();
		isnt($pty->settings->[3], $before->[3], 'raw');
		kill $signal, $pty->pid;
		is(($pty->finish(PATIENCE))[0], $expected, 'stops it');
		is_deeply($pty->settings, $before, 'the settings are as before');
	};
}

subtest 'the environment' => sub {
	my $pty = Pty->start(33, 99, $run, '--timeout', PATIENCE, '--env', 'HOME=/tmp', program('arguments'), 'status', 5);
	my ($status, $said) = $pty->finish(PATIENCE);
	is($status, 5, 'the status is the program\'s');
	like($said, qr/^env <TERM=test-terminal>\r\n/m, 'TERM is the terminal\'s');
	like($said, qr/^env <HOME=\/tmp>\r\n/m, 'what is given counts');
	is(() = $said =~ /HOME=/g, 1, 'once');
	like($said, qr/^env <PATH=\/usr\/local\/sbin:/m, 'PATH');
};

subtest 'a mistake' => sub {
	my $pty = Pty->start(33, 99, $run, '--timeout', PATIENCE, '/no/such/program');
	my $before = $pty->settings;
	my ($status, $said) = $pty->finish(PATIENCE);
	is($status, 127, 'status');
	is($said, "phoenix-run: /no/such/program: no such file\r\n", 'is said in a line');
	is_deeply($pty->settings, $before, 'the settings are as before');
};

subtest 'output to a pipe' => sub {
	my $pty = Pty->start(33, 99, '/bin/sh', '-c', "'$run' --timeout @{[PATIENCE]} '@{[program('cat')]}' | tr a-z A-Z");
	my $before = $pty->settings;
	$pty->type("hello\n\x04");
	my ($status, $said) = $pty->finish(PATIENCE);
	is($status, 0, 'status');
	like($said, qr/^HELLO\r\n/m, 'the program has its input from the terminal, its output goes on');
	unlike($said, qr/power off/i, 'without the console');
	is_deeply($pty->settings, $before, 'the settings were left alone');
};
done_testing();
