#!/usr/bin/perl
# stress-ng, which checks what it does to memory and processes (--verify): two workers of each stressor for some seconds. It must end well,
# and say so, on Phoenix; here it is asked only which stressors it has.
#
# STRESSORS: only those, by name; STRESS_SECONDS: for so long each (2).
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Programs;
use Phoenix;
use Test::More;

use constant {
	MEMORY   => 1024, # MiB: memthrash asks for as much as it gets, and uses up 512
	TOO_LONG => 300, # seconds, for one stressor: some do not look at the time before a round is over
	TIMEOUT  => 7200,
};

my @stressors = split ' ', $ENV{STRESSORS} // 'vm vm-rw mmap mmapfork mmapaddr mmapfixed mmapmany mremap madvise mincore mlock mprotect
	msync munmap brk bigheap stack stackmmap fork vfork vforkmany clone context pthread shm shm-sysv memfd memthrash fault pageswap
	malloc bad-altstack sigsegv sigbus far-branch tlb-shootdown zero';
my $seconds = $ENV{STRESS_SECONDS} // 2;
my %known = map { $_ => 1 } split ' ', qx(stress-ng --stressors);
my ($has, $lacks) = ([], []);
push @{$known{$_} ? $has : $lacks}, $_ for @stressors;
cmp_ok(scalar @$has, '>', 0, 'stressors that stress-ng has');
diag("this stress-ng has no @$lacks") if @$lacks;

my $script = join "\n", 'for s; do echo "== $s"; timeout -s KILL ' . TOO_LONG . " stress-ng --verify --\$s 2 -t $seconds 2>&1",
	'echo "== status $?"; done', '';
my $ran = run(['--timeout', TIMEOUT, '--mem', MEMORY, '--deb', 'stress-ng,bash,coreutils', '--'], 'bash', '-c', $script, 'bash', @$has);
for my $name (@$has) {
	my ($said, $status) = $ran->{out} =~ /^== \Q$name\E\n(.*?)^== status (\d+)$/ms;
	is($status, 0, "$name: status") or diag($said // $ran->{err});
	unlike($said // '', qr/^stress-ng: fail|unsuccessful/m, "$name: nothing that is wrong") or diag($said);
}
unlike($ran->{console}, qr/panic|leaked/, 'nothing leaked');
done_testing();
