#!/usr/bin/perl
# Debugging: QEMU's stub, the kernel's symbols, and the commands of tools/gdb/phoenix.py, on a kernel that is stopped at its
# beginning and in a system call.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

plan skip_all => 'gdb is not installed' unless grep { -x "$_/gdb" } split /:/, $ENV{PATH};

my $port   = 20000 + $$ % 10000;
my $kernel = Phoenix::built() . '/phoenix.elf';

# What GDB says to the commands, while phoenix-run waits for it with the program; and phoenix-run's status.
sub session
{
	my ($program, @commands) = @_;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		$ENV{GDBPORT} = $port;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', scratch() . '/gdb.out';
		open STDERR, '>', scratch() . '/gdb.err';
		exec root() . '/tools/phoenix-run', '--gdb', '--timeout', 100, $program or exit 99;
	}
	my @gdb = ('timeout', 90, 'gdb', '-q', '-batch', '-nx', $kernel, '-ex', 'set pagination off', '-ex', 'set confirm off',
		'-ex', "target remote 127.0.0.1:$port", '-x', root() . '/tools/gdb/phoenix.py', map { ('-ex', $_) } @commands, 'kill');
	my $said = do {
		my $gdb = open(my $from, '-|') // die "fork: $!";
		if ($gdb == 0) {
			open STDERR, '>&', \*STDOUT;
			exec @gdb or exit 99;
		}
		local $/;
		<$from>;
	};
	waitpid $pid, 0;
	return ($said, $? >> 8);
}

my ($said) = session(program('pointers'), 'vm walk 0x1000', 'hbreak kernel_main', 'continue', 'vm maps', 'vm walk $rip',
	'hbreak sys_uname', 'continue', 'backtrace 2', 'vm maps', 'vm walk $rsp', 'vm walk 0x401000', 'vm walk 0',
	'vm walk 0x800000000000', 'vm page 0x100');
like($said, qr/^paging is off: 0x1000 is physical 0x1000$/m, 'before paging') or diag($said);
like($said, qr/^Breakpoint 1, kernel_main \(.* at kern\/core\/main\.c:\d+$/m, 'stops at kernel_main, with its source line');
like($said, qr/^no process yet/m, 'no process there');
like($said, qr/^PML4\[  0\] at 0x[0-9a-f]{9}: [0-9a-f]{16}  present.*\n(?:.*\n)*?0x78[0-9a-f]+ is physical 0x[0-9a-f]+, .*supervisor$/m,
	'the walk to kernel text');
like($said, qr/^#1 .* in syscall_handle /m, 'a backtrace in a system call');
for my $region ('guard page', 'text', 'stack', 'kernel stack', 'physical memory map') {
	like($said, qr/^[0-9a-f]{12}-[0-9a-f]{12} [-rwx]{3} .*\b$region\b/m, "vm maps shows: $region");
}
like($said, qr/^0x401000 is physical 0x[0-9a-f]+, in a page of 4 KiB: r-x, user$/m, 'the walk to the program\'s text');
like($said, qr/^0x0: no translation$/m, 'the walk to address 0');
like($said, qr/^0x800000000000 is not canonical/m, 'an address that is not canonical');
like($said, qr/^frame 0x100: physical 0x100000, .*\n(?:  .*\n)*  state     PAGE_\w+$/m, 'vm page');
unlike($said, qr/Python Exception|Error/, 'no error');

# vm explain makes the kernel run: in a fault, in ring 3 and in a system call, over a breakpoint of its own, and the program goes
# on as if nothing had been. Where it would wait for a lock for ever, it does not try.
my $entry = sprintf '0x%x', unpack 'x24 Q<', contents(program('pointers'));
($said, my $status) = session(program('pointers'), 'hbreak kernel_main', 'continue', 'vm explain 0', 'hbreak vm_fault', 'continue',
	"vm explain $entry x", 'delete', 'hbreak pmap_enter_window', 'continue', "vm explain $entry x", 'delete', "hbreak *$entry", 'continue',
	'hbreak vm_explain', 'vm explain $rip x', 'vm explain $rip w', 'phoenix explain $rsp w', 'p $cs & 3', 'p $rip',
	'info breakpoints', 'delete', 'hbreak syscall_entry', 'continue', 'vm explain 0', 'delete', 'hbreak sys_uname', 'continue',
	'phoenix explain 0', 'vm explain', 'vm explain 0 q', 'vm explain 0 r w', 'phoenix maps', 'delete', 'continue');
my $text = qr/pointers > private space > pointers > text r-x > page \d+ of the blob below,/;
like($said, qr/^no process yet: there is no map to explain$/m, 'vm explain: before there is a process') or diag($said);
like($said, qr/^Breakpoint 2, vm_fault .*\n(?:.*\n)??$text absent, boot module > no translation > execute faults: page in$/m,
	'at the first fault');
like($said, qr/^the blob family's lock is held here: /m, 'where a lock is held, nothing is tried');
like($said, qr/^$text resident, lent by boot module > frame 0x[0-9a-f]+ r-x > execute succeeds$/m, 'in ring 3: its own text');
like($said, qr/^$text resident, .* > write refused: not allowed here$/m, 'a write to it');
like($said, qr/^pointers > arena > stack rw- > page \d+ .* > write (?:succeeds|faults: upgrade)$/m, 'its stack');
like($said, qr/^\$1 = 3\n\$2 = \(.*\) $entry$/m, 'ring and rip are as before');
like($said, qr/^\d+ +hw breakpoint +keep y .*\bvm_explain\b/m, 'the breakpoint in its way is still there');
like($said, qr/^the kernel is not on its own stack here: /m, 'on the way into a system call');
like($said, qr/^pointers > guard page, reserved > read refused$/m, 'in a system call');
is(() = $said =~ /^vm explain ADDRESS \[r\|w\|x\]$/mg, 3, 'usage');
like($said, qr/^[0-9a-f-]+ r-x blob +text  blob 0x[0-9a-f]+ \+ 0  \(resident \d+, page in \d+\)$/m, 'vm maps says what happened');
unlike($said, qr/Python Exception|Error/, 'no error');
is($status, 0, 'and the program passes all of its checks');
like(contents(scratch() . '/gdb.out'), qr/^pointers: \d+ checks, 0 failed$/m, 'as it says');
done_testing();
