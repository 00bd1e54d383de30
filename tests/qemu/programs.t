#!/usr/bin/perl
# Programs on the booted system: arguments, streams, memory, addresses, floating point, and their exit statuses.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

sub succeeds
{
	my ($name, @arguments) = @_;
	my $ran = run([], program($name), @arguments);
	is($ran->{status}, 0, "$name @arguments") or diag($ran->{out}, $ran->{err});
	like($ran->{out}, qr/^$name: [1-9]\d* checks, 0 failed$/m, "$name: all checks pass");
	unlike($ran->{console}, qr/leaked/, "$name: nothing leaked");
	return $ran;
}

subtest 'arguments, environment, status' => sub {
	my @arguments = ('plain', 'two words', '', "quotes ' and \"", 'x=y', '--', "new\nline", "\x{c3}\x{a9}");
	my $ran = run(['--env', 'A=1', '--env', 'B=two words', '--env', 'EMPTY='], program('arguments'), @arguments, 'status', 42);
	is($ran->{status}, 42, 'exit status');
	my $n = 0;
	is($ran->{out}, join('', "argc 11\n", map({ 'argv[' . $n++ . "] <$_>\n" } '/bin/arguments', @arguments, 'status', '42'),
		"env <A=1>\nenv <B=two words>\nenv <EMPTY=>\n"), 'argv and envp');
	is($ran->{err}, '', 'nothing on the error output');
	like($ran->{console}, qr/^phoenix: power off, status 42$/m, 'the last line');
	is(run([], program('arguments'), 'status', 255)->{status}, 255, 'status 255');
	$ran = run([], program('arguments'), ('x' x 1000) x 60);
	is($ran->{status}, 0, '60 KB of arguments');
	is(length $ran->{out}, length("argc 61\n") + length("argv[0] </bin/arguments>\n") + 60 * 1000 + 9 * length("argv[1] <>\n")
		+ 51 * length("argv[10] <>\n"), 'all of them come');
};

subtest 'streams' => sub {
	my $text = join '', map { "line $_\n" } 1 .. 3000;
	my $ran = run([{input => $text}], program('cat'));
	is($ran->{status}, 0, 'cat');
	ok($ran->{out} eq $text, 'its output is its input');
	is($ran->{err}, length($text) . " bytes\n", 'and it counted them');
	$ran = run([{input => "no newline"}], program('cat'));
	is($ran->{out}, 'no newline', 'the end of the input without a newline');
	my $bytes = join '', map { chr } 0 .. 255, 4, 16, 16, 4;
	$ran = run([{input => $bytes}], program('cat'));
	ok($ran->{out} eq $bytes, 'all bytes pass as they are');
	$ran = run([], program('cat'));
	is($ran->{err}, "0 bytes\n", 'no input at all');
	$ran = run([], program('output'), 5000);
	my @lines = split /\n/, $ran->{out};
	is(scalar @lines, 5001, 'all lines of the standard output');
	is($lines[-1], 'no newline at the end', 'to the last byte');
	is(() = $ran->{err} =~ /^line \d+ of the error output$/mg, 50, 'all lines of the error output');
};

succeeds($_) for qw(heap float pointers pointer_table calls memory vdso files names file_memory);
succeeds('random_memory', $_) for 1 .. 4;
succeeds('addresses');

subtest 'static PIE' => sub {
	my $ran = run([], program('addresses_pie'));
	is($ran->{status}, 0, 'runs') or diag($ran->{out}, $ran->{err});
	like($ran->{out}, qr/^addresses: [1-9]\d* checks, 0 failed$/m, 'its addresses are where they have to be');
};

subtest 'the demo' => sub {
	my $ran = run([], Phoenix::built() . '/user/demo');
	is($ran->{status}, 0, 'status 0') or diag($ran->{out}, $ran->{err});
	like($ran->{out}, qr/^  write 8 pages of it, 2 GiB apart +8 +8 /m, 'eight pages cost eight faults and eight pages');
	like($ran->{out}, qr/^  reserve 16 GiB +0 +0 /m, 'reserving costs none');
	for my $region ('guard page', 'private space', 'kernel linkage space', 'system data space', 'arena', 'kernel dynamic memory',
		'physical memory map') {
		like($ran->{out}, qr/ \Q$region\E$/m, "the map tree has: $region");
	}
	like($ran->{out}, qr/^demo: all that was written was read back$/m, 'what was written was read back');
};

subtest '--stats' => sub {
	my $ran = run(['--stats'], program('arguments'));
	is($ran->{status}, 0, 'status');
	like($ran->{err}, qr/ stack\b.*^faults by case\n.*zero fill.*pages by state/ms, 'map tree, faults, pages');
	like($ran->{err}, qr/^[0-9a-f-]+ r-x blob +\d+     text  \(.*page in \d+\)$/m, 'what happened in an entry');
	like($ran->{err}, qr/^  first instruction: arguments > private space > arguments > text r-x > page .* > execute succeeds$/m,
		'what an access of its text would do');
	like($ran->{err}, qr/^  first of the stack: arguments > arena > stack rw- > page 2097151 resident > .* > write succeeds$/m,
		'and one of its stack');
	unlike($ran->{err}, qr/^  refused: /m, 'none was refused');
	unlike($ran->{out}, qr/zero fill/, 'not on the standard output');
	$ran = run(['--stats'], program('crash'), 'write-null');
	like($ran->{err}, qr/^  refused: crash > guard page, reserved > write refused$/m, 'the access that ended it');
};

subtest '--icount, --file' => sub {
	my $file = write_file('data', "contents\n");
	my $ran = run(['--icount', '--file', "$file:/etc/data", '--file', $file], program('arguments'), 'a');
	is($ran->{status}, 0, 'status');
	like($ran->{out}, qr/^argv\[1\] <a>$/m, 'the program ran');
};

done_testing();
