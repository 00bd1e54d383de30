#!/usr/bin/perl
# tools/run-iso, which is `make run`: what it boots without a terminal, and its status.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $iso = Phoenix::built() . '/phoenix.iso';

# Runs it without a terminal, with more in its environment: its status and all it said.
sub run_iso
{
	my ($variables, $file) = @_;
	my $said = qx(env $variables timeout @{[Phoenix::TIMEOUT]} tools/run-iso '$file' </dev/null 2>&1);
	return ($? >> 8, $said);
}

my ($status, $said) = run_iso('', $iso);
is($status, 0, 'status 0');
like($said, qr/loaded through multiboot2\r\n/, 'GRUB boots it');
like($said, qr/^demo: all that was written was read back\r\n/m, 'the demo runs');
like($said, qr/^phoenix: power off, status 0\r\n\z/m, 'and the machine powers off');

($status, $said) = run_iso('UEFI=1 ENTRY=demo', $iso);
is($status, 0, 'UEFI: status 0');
like($said, qr/^demo: all that was written was read back\r\n/m, 'UEFI: the entry that is named');

($status, $said) = run_iso('ENTRY=nonsense', $iso);
is($status, 2, 'an entry that is not there: status 2');
like($said, qr/^run-iso: ENTRY=nonsense: not shell, demo/, 'and a line that says so');

($status, $said) = run_iso('', '/no/such/iso');
is($status, 125, 'an image that is not there: status 125');
like($said, qr/did not power off by itself/, 'and a line that says so');
done_testing();
