#!/usr/bin/perl
# Devices that are paged to: the words swap= on the command line, swapon, swapoff and mkswap, /proc/swaps, and disks as files.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $busybox = '/bin/busybox';
plan skip_all => 'no busybox here' unless -x $busybox;

# Runs lines of a shell with disks and words of the command line.
sub shell
{
	my ($options, @lines) = @_;
	mkdir scratch() . '/root';
	my $script = write_file('script', join '', map { "$_\n" } @lines);
	return run([@$options, '--root', scratch() . '/root', '--file', "$script:/script"], $busybox, 'sh', '/script');
}

# /proc/swaps without its heading: name, kind, KiB, used, priority.
sub swaps
{
	my ($text) = @_;
	return [map { [split] } grep { m{^/dev/} } split /\n/, $text];
}

my $ran = shell(['--swap', 64, '--swap', '16,pri=5', '--append', 'swap=ram:8,pri=7 swap=vdx swap=vda swap=vda,pri=40000'],
	'cat /proc/swaps', 'cat /proc/meminfo');
is($ran->{status}, 0, 'status 0') or diag($ran->{err});
is_deeply(swaps($ran->{out}), [['/dev/ram0', 'partition', 8188, 0, 7], ['/dev/vdb', 'partition', 16380, 0, 5],
	['/dev/vda', 'partition', 65532, 0, -2]], 'devices by priority; their first page is not used');
like($ran->{out}, qr/^SwapTotal: +90100 kB$/m, 'SwapTotal');
like($ran->{out}, qr/^SwapFree: +90100 kB$/m, 'SwapFree');
like($ran->{console}, qr/^phoenix: swap=vdx: there is no such device$/m, 'a device that there is not');
like($ran->{console}, qr/^phoenix: swap=vda: it is in use$/m, 'a device twice');
like($ran->{console}, qr/^phoenix: swap=vda,pri=40000: the priority is not a number, -1 to 32767$/m, 'a priority that cannot be');
unlike($ran->{console}, qr/leaked/, 'nothing has leaked');

$ran = shell(['--swap', 64], 'swapoff /dev/vda && cat /proc/swaps', 'swapon /dev/vda || echo no header',
	'mkswap /dev/vda', 'swapon /dev/vda && cat /proc/swaps', 'swapon /dev/vda || echo again', 'mkswap /dev/vda || echo busy',
	'swapoff /dev/vda && echo off', 'swapoff /dev/vda || echo is off', 'swapon /script || echo no device', 'swapon /dev/none || echo none');
is($ran->{status}, 0, 'status 0') or diag($ran->{err});
my ($off, $on) = split /^no header$/m, $ran->{out};
is_deeply(swaps($off), [], 'swapoff');
is_deeply(swaps($on), [['/dev/vda', 'partition', 65532, 0, -3]], 'mkswap, swapon');
like($ran->{out}, qr/^again\n(?:Setting.*\n)?(?:UUID.*\n)?busy\noff\nis off\nno device\nnone$/m, 'what cannot be is refused');
like($ran->{err}, qr{/dev/vda: Invalid argument\n.*/dev/vda: (?:Device or r|R)esource busy}s, 'and why');
unlike($ran->{console}, qr/leaked/, 'nothing has leaked');

# As files. 3000000 bytes are no multiple of anything.
# A description of a disk for QEMU, without a layer "raw".
my $described = write_file('described.img', '');
truncate $described, 8 << 20 or die "$described: $!";
$ran = shell(['--swap', qq(json:{"driver":"file","filename":"$described"})], 'cat /proc/swaps');
is_deeply(swaps($ran->{out}), [['/dev/vda', 'partition', 8188, 0, -2]], 'a disk by its description') or diag($ran->{err});

$ran = shell(['--mem', 64, '--append', 'swap=ram:8,pri=1'], 'swapoff /dev/ram0',
	'head -c 3000000 /dev/urandom >/tmp/data && cat /tmp/data >/dev/ram0 && head -c 3000000 /dev/ram0 | cmp - /tmp/data && echo same',
	'printf middle | dd of=/dev/ram0 bs=1 seek=4093 conv=notrunc 2>/dev/null && dd if=/dev/ram0 bs=1 skip=4093 count=6 2>/dev/null; echo',
	'wc -c </dev/ram0', 'head -c 9000000 /dev/zero >/dev/ram0 || echo full', 'ls -l /dev/ram0');
is($ran->{status}, 0, 'status 0');
like($ran->{out}, qr/^same\nmiddle\n8388608\nfull\nbrw-rw---- +1 root +root +1, +0 /m, 'what is written is read; the end is the end');
done_testing();
