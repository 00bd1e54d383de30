#!/usr/bin/perl
# The monitor on the kernel's console: when it stops a program, what its commands say, what it makes of bad ones, how its line is
# edited, and how it lets go.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $banner = qr/^monitor: \S+\[1\] (.*); help lists the commands$/m;

# Runs a program with these lines for the monitor: what run() returns, with {said}, what was said after each line of input.
sub monitored
{
	my ($options, $lines, @program) = @_;
	my $ran = run([{input => $lines}, @$options], @program);
	my @said = split /^phoenix> /m, $ran->{console};
	shift @said; # what came before the first prompt
	$ran->{said} = \@said;
	return $ran;
}

# What was said after the line that was echoed as this.
sub answer
{
	my ($ran, $line) = @_;
	my ($said) = grep { /^\Q$line\E\n/ } @{$ran->{said}};
	$said =~ s/^.*\n// if defined $said;
	return $said // '';
}

subtest 'at the start' => sub {
	my $ran = monitored(['--monitor=start'], "help\nmap\nexplain 10ffffff00 w\nexplain 401000 x\ncheck\nstats\ncontinue\n",
		program('arguments'), 'a');
	is($ran->{status}, 0, 'the program ran');
	like($ran->{out}, qr/^argv\[1\] <a>$/m, 'with its arguments');
	is_deeply([$ran->{console} =~ /$banner/g], ['is about to start'], 'stopped once');
	unlike($ran->{console}, qr/leaked/, 'nothing leaked');
	for my $command (qw(help map explain page frame stats check continue quit)) {
		like(answer($ran, 'help'), qr/^  $command\b.*  \S/m, "help has: $command");
	}
	my $map = answer($ran, 'map');
	like($map, qr/^000000001000-000078000000 --- submap +- private space$/m, 'the map has submaps');
	like($map, qr/^[0-9a-f-]+ rwx entity +-   arguments$/m, 'the entity');
	like($map, qr/^[0-9a-f-]+ r-x blob +0     text$/m, 'its text, of which nothing is resident');
	like($map, qr/^[0-9a-f-]+ rw- blob +1   stack$/m, 'the stack, with a page');
	like(answer($ran, 'explain 10ffffff00 w'),
		qr/^arguments > arena > stack rw- > page 2097151 resident > no translation > write faults: upgrade$/m, 'explain: the stack');
	like(answer($ran, 'explain 401000 x'),
		qr/ > text r-x > page 0 of the blob below, absent, boot module > no translation > execute faults: page in$/m, 'explain: the text');
	like(answer($ran, 'check'), qr/^the map, its blobs and its translations are as they have to be$/m, 'check');
	like(answer($ran, 'stats'), qr/^faults by case\n.*^pages by state\n.*^ +[1-9]\d*  blobs$/ms, 'stats');
};

subtest 'at a crash' => sub {
	my $ran = monitored(['--monitor'], "explain\nmap\npage 10ffffff00\npage 400000\ncheck\nquit\n", program('crash'), 'write-text');
	is($ran->{status}, 139, 'quit ends with the program\'s status');
	is($ran->{out}, "before\n", 'it ran up to its crash');
	is_deeply([$ran->{console} =~ /$banner/g], ['was killed'], 'stopped once');
	my ($why) = $ran->{console} =~ /^  why: (.*)$/m;
	is(answer($ran, 'explain'), ($why // '?') . "\n", 'explain alone says what the crash line says');
	like(answer($ran, 'map'), qr/ text  \(resident \d+, page in \d+\)$/m, 'map says what happened in the text');
	like(answer($ran, 'page 10ffffff00'), qr/^frame [0-9a-f]+: blob, 1 reference, index 2097151 of its family, dirty$/m, 'the stack\'s page');
	like(answer($ran, 'page 400000'), qr/^frame [0-9a-f]+: boot module, [2-9] references$/m, 'the page of the program\'s file');
	like(answer($ran, 'check'), qr/as they have to be$/m, 'check');
	like($ran->{err}, qr/^phoenix> quit$/m, 'phoenix-run shows the console');
};

subtest 'at the end' => sub {
	my $ran = monitored(['--monitor=exit'], "explain\nexplain 10ffffff00 w\nquit 77\n", program('arguments'), 'status', 3);
	is($ran->{status}, 77, 'quit takes a status');
	is_deeply([$ran->{console} =~ /$banner/g], ['has ended'], 'stopped once');
	like(answer($ran, 'explain'), qr/^no access was refused: explain ADDRESS/m, 'nothing was refused');
	like(answer($ran, 'explain 10ffffff00 w'), qr/ > write succeeds$/m, 'all of its memory is still there');
	$ran = monitored(['--monitor=exit', '--monitor=start', '--monitor=crash'], "continue\ncontinue\ncontinue\n", program('crash'), 'ud2');
	is($ran->{status}, 132, 'continue: its own status');
	is_deeply([$ran->{console} =~ /$banner/g], ['is about to start', 'was killed', 'has ended'], 'stops at each');
	unlike($ran->{console}, qr/leaked|panic/, 'nothing leaked');
};

subtest 'not asked for' => sub {
	my $ran = monitored([], "quit\n", program('cat'));
	is($ran->{out}, "quit\n", 'the input is the program\'s');
	unlike($ran->{console}, qr/monitor|phoenix>/, 'no monitor');
	$ran = monitored(['--monitor'], "quit\n", program('arguments'));
	is($ran->{status}, 0, 'a program that does not crash is not stopped');
	unlike($ran->{console}, qr/phoenix>/, 'no prompt');
};

subtest 'the end of the input' => sub {
	my $ran = monitored(['--monitor=start', '--monitor=exit'], "explain 0", program('arguments'), 'status', 5);
	is($ran->{status}, 5, 'the program goes on');
	like(answer($ran, 'explain 0'), qr/^arguments > guard page, reserved > read refused$/m, 'after a last line without a newline');
	is_deeply([$ran->{console} =~ /$banner/g], ['is about to start'], 'and is not stopped again');
	is(() = $ran->{console} =~ /^monitor: the input has ended$/mg, 1, 'which is said');
	my $file = write_file('program-input', "for the program\n");
	$ran = monitored(['--monitor=start', '--input', $file], "continue\n", program('cat'));
	is($ran->{out}, "for the program\n", '--input is the program\'s input');
	$ran = monitored(['--monitor=start'], "continue\nfor nobody\n", program('cat'));
	is($ran->{err} =~ /^0 bytes$/m, 1, 'without it the program has none');
};

subtest 'bad input' => sub {
	my %answers = (
		'explore'                      => qr/^"explore" is not a command; help lists them$/,
		'explain 0 q'                  => qr/^"q" is not an access: r, w or x$/,
		'explain 0 rw'                 => qr/^"rw" is not an access: r, w or x$/,
		'explain zz'                   => qr/^"zz" is not a hexadecimal number of at most ffffffffffffffff$/,
		'explain 0x'                   => qr/^"0x" is not a hexadecimal number/,
		'explain -1'                   => qr/^"-1" is not a hexadecimal number/,
		'explain 10000000000000000'    => qr/^"10000000000000000" is not a hexadecimal number/,
		'explain 1 r 2'                => qr/^usage: explain \[ADDRESS \[r\|w\|x\]\]$/,
		'explain 1 r 2 3 4 5 6'        => qr/^usage: explain /,
		'explain ffffffffffffffff'     => qr/ > nothing is mapped > read refused$/,
		'explain FFFFFFFFFFFFFFFF W'   => qr/^"W" is not an access: r, w or x$/,
		'explain 0X10FFFFFF00 w'       => qr/ > stack rw- > page 2097151 /,
		'explain 6fc000000000'         => qr/ > kernel dynamic memory, reserved > read refused$/,
		'page'                         => qr/^usage: page ADDRESS$/,
		'page 1 2'                     => qr/^usage: page ADDRESS$/,
		'page 0'                       => qr/^no translation: explain 0$/,
		'page 800000000000'            => qr/^"800000000000" is not a hexadecimal number of at most 7fffffffffff$/,
		'page 7fffffffffff'            => qr/^frame ffffffff has no descriptor: it is not RAM$/,
		'page 6f8000000000'            => qr/^frame 0: reserved$/,
		'page 6fbfffffffff'            => qr/^frame [0-9a-f]+ has no descriptor: it is not RAM$/,
		'page 700000001000'            => qr/^frame 1: reserved$/,
		'page 78100000'                => qr/^frame [0-9a-f]+: reserved$/,
		'frame'                        => qr/^usage: frame NUMBER$/,
		'frame fffffff'                => qr/^frame fffffff has no descriptor: it is not RAM$/,
		'frame ffffffffffff'           => qr/^"ffffffffffff" is not a hexadecimal number of at most ffffffff$/,
		'map all'                      => qr/^usage: map$/,
		'quit 256'                     => qr/^"256" is not a status from 0 to 255$/,
		'quit x'                       => qr/^"x" is not a status from 0 to 255$/,
		'quit 1 2'                     => qr/^usage: quit \[STATUS\]$/,
		'continue now'                 => qr/^usage: continue$/,
	);
	my @lines = sort keys %answers;
	my $ran = monitored(['--monitor=start'], join('', map { "$_\n" } @lines, '', '   ') . "continue\n", program('arguments'));
	is($ran->{status}, 0, 'the program ran');
	for my $line (@lines) {
		my $said = answer($ran, $line);
		like($said, qr/$answers{$line}/m, "'$line'");
		is($said =~ tr/\n//, 1, 'in one line');
	}
	is(() = $ran->{console} =~ /^phoenix> *$/mg, 2, 'empty lines say nothing');
};

subtest 'editing' => sub {
	my $long = 'x' x 100;
	my $ran = monitored(['--monitor=start'],
		"hexx\b\x7flp\nfoo\x15check\n\b\b\x7f\x15check\nch\x04\x01\eeck\n$long\n  explain   0   w  \ncontinue\r\n", program('arguments'));
	is($ran->{status}, 0, 'the program ran');
	like($ran->{console}, qr/^phoenix> hexx(?:\x08 \x08){2}lp\n  help /m, 'backspace and delete');
	like($ran->{console}, qr/^phoenix> foo(?:\x08 \x08){3}check\nthe map, /m, '^U');
	like($ran->{console}, qr/^phoenix> check\nthe map, /m, 'nothing to take back');
	like($ran->{console}, qr/^phoenix> check\nthe map, .*\nphoenix> check\nthe map, /m, 'other control characters are ignored');
	like($ran->{console}, qr/^phoenix> x{79}\a{21}\n"x{79}" is not a command/m, 'a line that is too long');
	like($ran->{console}, qr/^phoenix>   explain   0   w  \narguments > guard page, reserved > write refused\n/m, 'spaces');
};

subtest 'options' => sub {
	my $ran = run(['--append', 'monitor=later'], program('arguments'));
	is($ran->{status}, 0, 'a word that is none is no reason to stop');
	like($ran->{console}, qr/^phoenix: monitor=later is not start, crash or exit; it is ignored$/m, 'but is named');
	$ran = run(['--monitor=later'], program('arguments'));
	is($ran->{status}, 125, 'phoenix-run knows it before');
	like($ran->{err}, qr/^phoenix-run: --monitor: 'later' is not crash, start or exit$/m, 'and says so');
	$ran = run(['--input', scratch() . '/none'], program('arguments'));
	is($ran->{status}, 125, 'no such input');
	like($ran->{err}, qr/^phoenix-run: --input: cannot read .*none: No such file or directory$/m, 'is named');
	$ran = run([{input => "no\n"}, '--input', write_file('file', "yes\n")], program('cat'));
	is($ran->{out}, "yes\n", '--input without a monitor');
};
done_testing();
