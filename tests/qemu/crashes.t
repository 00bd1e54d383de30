#!/usr/bin/perl
# What a program must not do: each ends it with the right status and one console line that says where, what and why, and where
# the VM refused an access another one that explains it; nothing leaks, and the machine goes on to power off in good order.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $segv = 139;

# How the explanation ends, for cases that a map entry or its absence refuses.
my %explained = (
	'read-null'           => 'guard page, reserved > read refused',
	'write-text'          => qr/text r-x > page 0 of the blob below, resident, lent by boot module > frame 0x[0-9a-f]+ r-x > write refused: not allowed here/,
	'write-constant'      => qr/rodata r-- > page \d+ .* > write refused: not allowed here/,
	'jump-stack'          => qr/ > arena > stack rw- > page \d+ resident > frame 0x[0-9a-f]+ rw- > execute refused: not allowed here/,
	'jump-heap'           => qr/ > heap rw- > page 0 resident > frame 0x[0-9a-f]+ rw- > execute refused: not allowed here/,
	'read-kernel'         => 'kernel linkage space, reserved > read refused',
	'read-noncanonical'   => undef, # no page fault: the CPU does not translate it
	'read-high'           => 'nothing is mapped > read refused',
	'read-unmapped'       => 'private space > nothing is mapped > read refused',
	'read-none'           => qr/anonymous --- > page \d+ absent, zero > no translation > read refused: not allowed here/,
	'write-readonly'      => qr/anonymous r-- > page \d+ .* > write refused: not allowed here/,
	'read-unmapped-again' => 'arena > nothing is mapped > read refused',
	'overflow'            => 'arena > nothing is mapped > write refused',
	'hlt'                 => undef,
	'divide'              => undef,
);

my @cases = (
	['read-null',           $segv, qr/read of 0x0 refused: the guard page/],
	['write-null',          $segv, qr/write to 0x0 refused: the guard page/],
	['read-guard',          $segv, qr/read of 0xff8 refused: the guard page/],
	['write-text',          $segv, qr/write to 0x[0-9a-f]+ refused: "text" allows r-x/],
	['write-constant',      $segv, qr/write to 0x[0-9a-f]+ refused: "rodata" allows r--/],
	['jump-null',           $segv, qr/jump to 0x0 refused: the guard page/],
	['jump-stack',          $segv, qr/jump to 0x[0-9a-f]+ refused: "stack" allows rw-/],
	['jump-heap',           $segv, qr/jump to 0x[0-9a-f]+ refused: "heap" allows rw-/],
	['jump-data',           $segv, qr/jump to 0x[0-9a-f]+ refused: "data" allows rw-/],
	['read-kernel',         $segv, qr/read of 0x78100000 refused: .*kernel/],
	['write-kernel',        $segv, qr/write to 0x78100000 refused: .*kernel/],
	['jump-kernel',         $segv, qr/jump to 0x78100000 refused: .*kernel/],
	['read-system',         $segv, qr/read of 0x80000000 refused: .*system data space/],
	['read-pages',          $segv, qr/read of 0x6f8000000000 refused: .*page descriptors/],
	['read-dynamic',        $segv, qr/read of 0x6fc000000000 refused: .*kernel dynamic memory/],
	['read-physical',       $segv, qr/read of 0x700000000000 refused: .*physical/],
	['write-physical',      $segv, qr/write to 0x700000000000 refused: .*physical/],
	['read-noncanonical',   $segv, qr/0x800000000000.*canonical/],
	['read-high',           $segv, qr/read of 0xffff800000000000 refused/],
	['jump-noncanonical',   $segv, qr/0x800000000000/],
	['read-unmapped',       $segv, qr/read of 0x10000000 refused: no map entry/],
	['read-none',           $segv, qr/read of 0x[0-9a-f]+ refused: "anonymous" allows ---/],
	['write-readonly',      $segv, qr/write to 0x[0-9a-f]+ refused: "anonymous" allows r--/],
	['read-unmapped-again', $segv, qr/read of 0x[0-9a-f]+ refused: no map entry/],
	['hlt',                 $segv, qr/privileged instruction/],
	['cli',                 $segv, qr/privileged instruction/],
	['out',                 $segv, qr/privileged instruction/],
	['cr3',                 $segv, qr/privileged instruction/],
	['rdmsr',               $segv, qr/privileged instruction/],
	['sgdt',                $segv, qr/privileged instruction/],
	['int13',               $segv, qr/privileged instruction/],
	['ud2',                 132,   qr/SIGILL: illegal instruction/],
	['int3',                133,   qr/SIGTRAP/],
	['divide',              136,   qr/SIGFPE/],
	['overflow',            $segv, qr/write to 0x[0-9a-f]+ refused: no map entry/],
	['lose-stack',          $segv, qr/write to 0x[0-9a-f]+ refused/],
);

for my $case (@cases) {
	my ($name, $status, $line) = @$case;
	subtest $name => sub {
		my $ran = run([], program('crash'), $name);
		is($ran->{status}, $status, "status $status") or diag($ran->{err});
		is($ran->{out}, "before\n", 'nothing after');
		my @killed = $ran->{console} =~ /^(phoenix: crash\[1\] killed by .*)$/mg;
		is(scalar @killed, 1, 'one console line');
		like($killed[0] // '', $line, 'which says why');
		ok(index($ran->{err}, "    $killed[0]\n") >= 0, 'and phoenix-run shows it') if @killed;
		if (exists $explained{$name}) {
			my ($why) = $ran->{console} =~ /killed by .*\n(  why: crash > .*)\n/;
			my $expected = $explained{$name};
			if (defined $expected) {
				like($why // '', ref $expected ? qr/$expected$/ : qr/ > \Q$expected\E$/, 'and explains it');
				ok(index($ran->{err}, "    $why\n") >= 0, 'and phoenix-run shows that too') if defined $why;
			} else {
				is($why, undef, 'there is nothing to explain');
			}
		}
		unlike($ran->{console}, qr/leaked|panic/, 'nothing leaked');
		like($ran->{console}, qr/^phoenix: power off, status $status\n\z/m, 'powered off in good order');
	};
}
done_testing();
