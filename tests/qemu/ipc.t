#!/usr/bin/perl
# Waiting for files, sockets, terminals: programs that check themselves, on both kernels; and that a machine that waits for
# keys leaves its host alone.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Pty;
use Test::More;
use Time::HiRes qw(sleep);

use constant {
	PATIENCE     => 60,  # seconds, on a slow machine
	IDLE_SECONDS => 3,
	IDLE_SHARE   => 0.1, # of a CPU: an idle QEMU takes a hundredth
};

my $debug = Phoenix::built() . '/debug/phoenix.elf';
my %memory = (sockets => 48); # MiB: what is lost in circles does not fit

for my $name (qw(polls sockets terminals)) {
	for (['', []], [' on the kernel with costly assertions', ['--kernel', $debug]]) {
		my ($where, $options) = @$_;
		subtest "$name$where" => sub {
			my $ran = run(['--mem', $memory{$name} // 256, @$options], program($name));
			is($ran->{status}, 0, 'status') or diag($ran->{out}, $ran->{err});
			like($ran->{out}, qr/^$name: [1-9]\d* checks, 0 failed$/m, 'all checks pass');
			unlike($ran->{console}, qr/leaked|panic/, 'nothing leaked');
		};
	}
}

# Seconds of CPU time that a process has had.
sub cpu_seconds
{
	my ($pid) = @_;
	my ($user, $system) = (split ' ', contents("/proc/$pid/stat") =~ s/.*\)//sr)[11, 12];
	return ($user + $system) / 100;
}

subtest 'waiting for keys' => sub {
	my $pty = Pty->start(24, 80, root() . '/tools/phoenix-run', '--timeout', PATIENCE, program('cat'));
	ok(defined $pty->expect(qr/^memory: .*\n/m, PATIENCE), 'it has started');
	sleep 2; # the pool of zeroed pages fills
	my ($qemu) = grep { contents("/proc/$_/comm") =~ /^qemu/ } split ' ', contents("/proc/@{[$pty->pid]}/task/@{[$pty->pid]}/children");
	my $before = cpu_seconds($qemu);
	sleep IDLE_SECONDS;
	cmp_ok(cpu_seconds($qemu) - $before, '<', IDLE_SECONDS * IDLE_SHARE, 'takes next to no CPU time');
	$pty->type("key\r");
	ok(defined $pty->expect(qr/key\r\nkey\r\n/, PATIENCE), 'a line is echoed, and comes back');
	$pty->type("\x04");
	is(($pty->finish(PATIENCE))[0], 0, 'status');
};
done_testing();
