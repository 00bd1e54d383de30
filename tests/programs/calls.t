#!/usr/bin/perl
# Our programs for each system call (calls/*.c): on this machine's Linux first, which says that what they expect is Linux's; then
# the same binaries on Phoenix, all in one boot.
use strict;
use warnings;
use File::Basename qw(basename dirname);
use FindBin;
use lib $FindBin::Bin;
use Programs;
use Test::More;

my @names = map { basename($_, '.c') } sort glob "$FindBin::Bin/calls/*.c";

# One program's tests as a subtest.
sub judge
{
	my ($where, $name, $status, $text) = @_;
	my $tap = read_tap($text);
	subtest "$where: $name" => sub {
		for my $result (@{$tap->{results}}) {
			my $test = $result->{name} . ($result->{skipped} ? ' (skipped)' : '');
			ok($result->{passed}, $test) or diag(map { "$_\n" } @{$result->{notes}});
		}
		is(scalar @{$tap->{results}}, $tap->{planned}, 'all of its tests ran') or diag(map { "$_\n" } @{$tap->{rest}});
		is($status, 0, 'its status');
	};
}

for my $name (@names) {
	my $ran = on_linux('/bin:/usr/bin', built() . "/calls/$name");
	judge('Linux', $name, $ran->{status}, $ran->{out});
}

install(built() . "/calls/$_", 't') for @names;
my $script = join '', map { "echo '== $_'; /t/$_; echo \"== status \$?\"\n" } @names;
my $ran = on_phoenix(256, [], $script);
for my $name (@names) {
	my ($text, $status) = $ran->{out} =~ /^== \Q$name\E\n(.*?)^== status (\d+)$/ms;
	if (defined $text) {
		judge('Phoenix', $name, $status, $text);
	} else {
		($text) = $ran->{out} =~ /^== \Q$name\E\n(.*)/ms;
		fail("Phoenix: $name ended");
		diag($text // 'it was not run', $ran->{err});
	}
}
is($ran->{status}, 0, 'Phoenix: the script\'s status') or diag($ran->{err});
unlike($ran->{console}, qr/panic|leaked/, 'Phoenix: nothing leaked');
done_testing();
