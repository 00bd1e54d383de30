#!/usr/bin/perl
# vmstat, vmmap and vmexplain: help, mistakes, and statuses (user/help.h). What they say is the kernel's, and other tests' business.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

# Runs a tool with arguments; its status, and what it says there or on the error output.
sub says
{
	my ($tool, $arguments, $status, $out, $err) = @_;
	my $ran = run([], Phoenix::built() . "/user/$tool", @$arguments);
	subtest "$tool @$arguments" => sub {
		is($ran->{status}, $status, 'status');
		like($ran->{out}, $out, 'output');
		like($ran->{err}, $err, 'error output');
	};
}

my $nothing = qr/^\z/;
for my $tool (qw(vmstat vmmap vmexplain)) {
	my $usage = qr/^usage: $tool \[-h\] .*^The status is|^usage: $tool \[-h\].* The status is/ms;
	says($tool, [$_], 0, $usage, $nothing) for qw(-h --help);
	says($tool, ['-x'], 2, $nothing, $usage);
	says($tool, [1, 2, 3, 4, 5], 2, $nothing, $usage);
}
says('vmstat', [], 0, qr/^ *r +b +swpd +free +used .* bad\n(?: +\d+){16}\n\z/, $nothing);
says('vmstat', [1, 2], 0, qr/^ *r .*\n(?:(?: +\d+){16}\n){2}\z/, $nothing);
says('vmstat', ['x'], 2, $nothing, qr/^vmstat: x is no number of at least 1$/);
says('vmstat', [1, 0], 2, $nothing, qr/^vmstat: 0 is no number of at least 1$/);
says('vmmap', [], 0, qr/^ +start-end .*^000000000000-000000001000 --- reserved .* guard page$/ms, $nothing);
says('vmmap', [1], 0, qr/^ +start-end .* vmmap$/ms, $nothing);
says('vmmap', [77], 1, $nothing, qr/^vmmap: 77: No such process$/);
says('vmmap', ['x'], 2, $nothing, qr/^vmmap: x is no process number$/);
says('vmexplain', [0, '400000'], 0, qr/^vmexplain > private space > vmexplain > .*read/, $nothing);
says('vmexplain', [0, '0', 'write'], 1, qr/^vmexplain > guard page, reserved > write refused$/, $nothing);
says('vmexplain', [77, '0'], 2, $nothing, qr/^vmexplain: 77: No such process$/);
says('vmexplain', [0, 'x'], 2, $nothing, qr/^vmexplain: x is no address/);
says('vmexplain', [0, '0', 'x'], 2, $nothing, qr/^vmexplain: x is no access/);
done_testing();
