#!/usr/bin/perl
# The way out of a broken kernel: what a panic shows, what QEMU's and phoenix-run's statuses are, and that a kernel stack
# which runs over hits its guard page.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $address = qr/[0-9a-f]{16}/;

sub panics
{
	my ($suite, $line) = @_;
	my $ran = run(['--append', "test=$suite"], program('first'));
	my $console = $ran->{console};
	is($ran->{status}, 125, 'status 125') or diag($console);
	is(() = $console =~ /^phoenix: panic: /mg, 1, 'one panic');
	like($console, qr/^phoenix: panic: .*$line/m, 'which says what happened');
	my ($said) = $console =~ /^(phoenix: panic: .*)$/m;
	ok(index($ran->{err}, $said // 'none') >= 0, 'and phoenix-run shows it');
	like($console, qr/^rax $address  rbx $address .*^rip $address  cs /ms, 'the registers');
	like($console, qr/^cr0 [0-9a-f]+  cr2 $address  cr3 $address /m, 'the control registers');
	unlike($console, qr/power off, status/, 'no good end');
	return $console;
}

subtest 'a panic' => sub {
	my $console = panics('panic', '');
	like($console, qr/^backtrace:\n(?:.*\n)*?.*\b\w*panic\w*\+0x[0-9a-f]+/m, 'the backtrace has functions and offsets');
	like($console, qr/\bthread_main\+0x[0-9a-f]+/, 'down to where the thread began');
};

subtest 'a kernel stack that runs over' => sub {
	my $console = panics('stack-overflow', '(?:stack|double fault)');
	like($console, qr/stack/, 'the stack is named');
};

subtest 'the log is kept and named' => sub {
	my $command = join ' ', map { "'$_'" } root() . '/tools/phoenix-run', '--append', 'test=panic', program('first');
	my $said = qx($command 2>&1 </dev/null);
	is($? >> 8, 125, 'status 125');
	my ($path) = $said =~ /the kernel's console is in (\S+)$/m;
	ok(defined $path, 'named') or diag($said);
	like(contents($path // ''), qr/^phoenix: panic: /m, 'and there');
	unlink $path if defined $path;
};
done_testing();
