#!/usr/bin/perl
# busybox's shell on a terminal: `make run`'s, and phoenix-run's. Line editing, job control, the window's size, the status.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Pty;
use Test::More;
use Time::HiRes qw(time);

use constant {
	PATIENCE => 60,  # seconds, on a slow machine
	ROWS     => 33,
	COLUMNS  => 99,
};

$ENV{TERM} = 'xterm';
# A line may end in two CRs: run-iso's terminal has QEMU for one more that makes them.
my $prompt = qr{phoenix:[^ ]*# (?:\e\[6n)?};

# Types a command and waits for the next prompt; what came before it, but for the command's echo.
sub command
{
	my ($pty, $line) = @_;
	$pty->type("$line\r");
	my $said = $pty->expect($prompt, PATIENCE) // return undef;
	$said =~ s/\A.*?\r\n//s;
	$said =~ s/$prompt\z//;
	return $said =~ tr/\r//dr;
}

# What any shell here has to do.
sub try_shell
{
	my ($pty) = @_;
	is(command($pty, 'echo one two | wc -w'), "2\n", 'a pipeline');
	is(command($pty, 'ls /etc/passwd /nothing 2>/dev/null; echo $?'), "/etc/passwd\n1\n", 'files, statuses');
	is(command($pty, 'stty size'), "@{[ROWS]} @{[COLUMNS]}\n", 'the window\'s size');
	is(command($pty, 'echo $TERM'), "xterm\n", 'the terminal\'s name');
	is(command($pty, 'echo wrong' . "\x7f" x 5 . 'right'), "right\n", 'a line is edited');
	$pty->type("sleep 1000\r");
	ok(!defined $pty->expect($prompt, 1), 'a command takes long');
	$pty->type("\x03");
	ok(defined $pty->expect($prompt, PATIENCE), '^C ends it');
	is(command($pty, 'echo $?'), "130\n", 'by SIGINT');
	$pty->type("sleep 1000\r");
	ok(!defined $pty->expect($prompt, 1), 'another one');
	$pty->type("\x1a");
	ok(defined $pty->expect($prompt, PATIENCE), '^Z stops it');
	like(command($pty, 'jobs'), qr/^\[1\]\+\s+Stopped\s+sleep 1000$/m, 'it is listed');
	$pty->type("fg\r");
	ok(defined $pty->expect(qr/\nsleep 1000\r+\n/, PATIENCE), 'it goes on in the foreground');
	ok(!defined $pty->expect($prompt, 1), 'for as long');
	$pty->type("\x03");
	ok(defined $pty->expect($prompt, PATIENCE), 'where ^C ends it, too');
	is(command($pty, 'jobs'), '', 'nothing is left');
}

subtest 'make run' => sub {
	my $start = time;
	my $pty = Pty->start(ROWS, COLUMNS, 'tools/run-iso', Phoenix::built() . '/phoenix.iso');
	my $before = $pty->settings;
	my $greeting = $pty->expect($prompt, PATIENCE);
	like($greeting // '', qr/loaded through multiboot2.*^Phoenix VM\. .*exit powers off\.\r+\n/ms, 'GRUB boots a shell');
	note(sprintf 'the prompt came %.1f s after QEMU was started', time - $start);
	try_shell($pty);
	is(command($pty, 'readlink /bin/ls; ls /bin/demo'), "busybox\n/bin/demo\n", 'applets and our programs are in /bin');
	$pty->type("exit 7\r");
	my ($status, $rest) = $pty->finish(PATIENCE);
	is($status, 7, 'its status is that of make run') or diag($rest);
	like($rest, qr/^phoenix: power off, status 7\r+\n\z/m, 'and the machine powers off');
	is_deeply($pty->settings, $before, 'the settings are as before');
};

subtest 'a window of unknown size' => sub {
	my $pty = Pty->start(0, 0, 'tools/run-iso', Phoenix::built() . '/phoenix.iso');
	my $greeting = $pty->expect($prompt, PATIENCE);
	unlike($greeting // 'winsize', qr/winsize/, 'is not given');
	$pty->type("exit\r");
	is(($pty->finish(PATIENCE))[0], 0, 'status');
};

subtest 'phoenix-run' => sub {
	my $tree = scratch() . '/tree';
	mkdir $_ for $tree, "$tree/bin";
	symlink 'busybox', "$tree/bin/$_" for qw(ls sh sleep stty wc);
	my $pty = Pty->start(ROWS, COLUMNS, 'tools/phoenix-run', '--root', $tree, '--deb', 'busybox-static', '--', 'sh', '-l');
	my $before = $pty->settings;
	ok(defined $pty->expect($prompt, PATIENCE), 'a shell');
	try_shell($pty);
	$pty->type("exit 5\r");
	my ($status, $rest) = $pty->finish(PATIENCE);
	is($status, 5, 'its status is that of phoenix-run') or diag($rest);
	is_deeply($pty->settings, $before, 'the settings are as before');
};
done_testing();
