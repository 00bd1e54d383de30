#!/usr/bin/perl
# Linux's own selftests of the VM (selftests.list), built statically: each passes on this machine's Linux and on Phoenix.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Programs;
use Test::More;

my $source = built() . '/linux/tools/testing/selftests/vm';

my (%run, %left_out);
open my $from, '<', "$FindBin::Bin/selftests.list" or die "selftests.list: $!";
while (<$from>) {
	next if /^\s*(?:#|$)/;
	if (/^(\S+): run\s*(.*)$/) {
		$run{$1} = [split ' ', $2];
	} elsif (/^(\S+): no, (.+)$/) {
		$left_out{$1} = $2;
	} else {
		die "selftests.list: $_";
	}
}
close $from;

my @there = sort map { m{([^/]+)\.c$} } grep { !/vm_util\.c$/ } glob "$source/*.c";
is_deeply([sort keys %run, keys %left_out], \@there, 'the list has all that there are');

# What a selftest says of itself: passed is 0, and no failed test in its TAP.
sub passed
{
	my ($status, $text) = @_;
	return defined $status && $status == 0 && $text !~ /^not ok|# Totals:.* fail:[1-9]/m;
}

# One of them runs as nobody, who has to reach it.
chmod 0711, Phoenix::scratch();
for my $name (sort keys %run) {
	my $program = install("$source/built/$name", 't');
	my $ran = on_linux('/bin:/usr/bin:/sbin', @{$run{$name}}, Phoenix::scratch() . "/tree$program");
	ok(passed($ran->{status}, $ran->{out}), "Linux: $name") or diag("status $ran->{status}\n", $ran->{out});
}

install_busybox();
my $script = join '', map { "cd /tmp; echo '== $_'; @{$run{$_}} /t/$_ </dev/null 2>&1; echo \"== status \$?\"\n" } sort keys %run;
my $ran = on_phoenix(3072, [], $script);
for my $name (sort keys %run) {
	my ($text, $status) = $ran->{out} =~ /^== \Q$name\E\n(.*?)^== status (\d+)$/ms;
	($text) = $ran->{out} =~ /^== \Q$name\E\n(.*)/ms unless defined $text;
	ok(passed($status, $text), "Phoenix: $name") or diag('status ', $status // '(none)', "\n", $text // 'not run', $ran->{err});
}
unlike($ran->{console}, qr/panic|leaked/, 'Phoenix: nothing leaked');
done_testing();
