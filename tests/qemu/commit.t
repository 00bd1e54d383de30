#!/usr/bin/perl
# How much memory may be promised: vm.overcommit on the command line and in /proc, CommitLimit and Committed_AS.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $busybox = '/bin/busybox';
plan skip_all => 'no busybox here' unless -x $busybox;

# dd has a buffer of the size of its blocks, which it need not touch: count=0 reads nothing into it.
sub lines
{
	my ($mode, @lines) = @_;
	mkdir scratch() . '/root';
	my $script = write_file('script', join '', map { "$_\n" } @lines);
	my $ran = run(['--mem', 64, '--append', "vm.overcommit=$mode", '--root', scratch() . '/root', '--file', "$script:/script"],
		$busybox, 'sh', '/script');
	is($ran->{status}, 0, "mode $mode: status 0") or diag($ran->{err});
	unlike($ran->{console}, qr/leaked|killed/, "mode $mode: nothing has leaked, nobody was killed");
	return $ran->{out};
}

sub promise { return map { "dd if=/dev/null of=/dev/null bs=${_}M count=0 2>/dev/null && echo $_ || echo no" } @_ }

my @show = ('cat /proc/sys/vm/overcommit_memory /proc/sys/vm/overcommit_ratio', 'grep Commit /proc/meminfo');
my $said = lines(0, @show, promise(20, 40, 500));
my ($limit) = $said =~ /^0\n50\nCommitLimit: +(\d+) kB\nCommitted_AS: +\d+ kB\n20\n40\nno\n\z/;
ok($limit, 'by guess: what is more than the machine has is refused') or diag($said);
cmp_ok($limit, '>', 28 << 10, 'the limit is half of RAM') and cmp_ok($limit, '<=', 32 << 10, 'at most');
like(lines(1, @show, promise(20, 40, 500)), qr/^1\n50\n.*\n.*\n20\n40\n500\n\z/, 'anything');
$said = lines(2, promise(20, 40), 'echo 100 >/proc/sys/vm/overcommit_ratio', promise(40, 70), 'echo 0 >/proc/sys/vm/overcommit_memory',
	promise(50), 'grep Committed /proc/meminfo');
like($said, qr/^20\nno\n40\nno\n50\nCommitted_AS: +\d{1,4} kB\n\z/, 'what there is: all promises within the limit');

# All promises together: each of these has its own, at the same time.
$said = lines(2, '(dd if=/dev/zero of=/dev/null bs=16M count=1 2>/dev/null; sleep 3) &', 'sleep 1', 'mkfifo /f', 'dd if=/f of=/dev/null bs=16M count=1 2>/dev/null &',
	'sleep 1', 'dd if=/dev/null of=/dev/null bs=16M count=0 2>/dev/null && echo too much || echo no', 'echo >/f', 'wait',
	'dd if=/dev/null of=/dev/null bs=16M count=0 2>/dev/null && echo again');
is($said, "no\nagain\n", 'together they are more than the limit; when they have ended they are not');
like(run(['--append', 'vm.overcommit=3'], program('first'))->{console}, qr/^phoenix: vm.overcommit=3 is not 0, 1 or 2; it is taken as 0$/m,
	'a mode that there is not');
done_testing();
