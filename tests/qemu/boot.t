#!/usr/bin/perl
# The boot matrix: each door with little, ordinary and much memory, and with too little.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my %loader = (PVH => 'PVH', 'GRUB, BIOS' => 'multiboot2', 'GRUB, UEFI' => 'multiboot2');
my @doors  = (['PVH'], ['GRUB, BIOS', '--grub'], ['GRUB, UEFI', '--uefi']);
my @sizes  = (32, 256, 4096);
# With 32 MiB OVMF has no room to load GRUB ("No bootable option"): nothing of ours has run by then.
my %smallest = ('GRUB, UEFI' => 48);

for my $door (@doors) {
	my ($name, @option) = @$door;
	for my $wanted (@sizes) {
		my $size = $wanted < ($smallest{$name} // 0) ? $smallest{$name} : $wanted;
		subtest "$name, $size MiB" => sub {
			my $ran = run([@option, '--mem', $size], program('arguments'), 'with', 'arguments', 'status', 3);
			is($ran->{status}, 3, 'the program ran') or diag($ran->{err}, $ran->{console});
			like($ran->{out}, qr/^argv\[2\] <arguments>$/m, 'with its arguments');
			like($ran->{console}, qr/loaded through $loader{$name}/, "through $loader{$name}");
			my ($ram, $kept) = $ran->{console} =~ /^memory: (\d+) MiB of RAM, .*?; (\d+) KiB of bookkeeping/m;
			cmp_ok($ram // 0, '>=', $size * 0.9 - 4, 'RAM is found');
			cmp_ok($kept // 1e9, '<=', $size * 1024 * 0.02 + 4096, 'bookkeeping is at most 2 % and 4 MiB');
		};
	}
}

subtest '16 GiB' => sub {
	my $ran = run(['--mem', 16384], program('first'));
	is($ran->{status}, 0, 'boots');
	my ($ram, $kept) = $ran->{console} =~ /^memory: (\d+) MiB of RAM, .*?; (\d+) KiB of bookkeeping/m;
	cmp_ok($ram // 0, '>', 16000, 'RAM is found');
	cmp_ok($kept // 1e9, '<=', 16384 * 1024 * 0.02 + 4096, 'bookkeeping is at most 2 % and 4 MiB');
};

subtest 'several CPUs' => sub {
	is(run(['--cpus', 4], program('first'))->{status}, 0, 'boots');
};

subtest 'the memory that there is can be used' => sub {
	my $ran = run(['--mem', 160], program('heap'));
	is($ran->{status}, 0, 'a heap of 144 MiB in 160') or diag($ran->{out}, $ran->{err});
};

subtest 'a program that wants more than there is' => sub {
	my $ran = run(['--mem', 48], program('heap'));
	cmp_ok($ran->{status}, '>=', 128, 'is ended') or diag($ran->{out}, $ran->{err});
	unlike($ran->{console}, qr/panic/, 'the kernel goes on');
	like($ran->{console}, qr/killed by .*memory/, 'and says why');
	unlike($ran->{console}, qr/leaked/, 'nothing leaked');
};

for my $size (1, 2, 4) {
	subtest "too little RAM: $size MiB" => sub {
		my $ran = run(['--mem', $size], program('first'));
		is($ran->{status}, 125, 'status 125');
		like($ran->{err}, qr/too little (?:RAM|memory)/, 'a line says so');
	};
}
done_testing();
