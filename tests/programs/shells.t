#!/usr/bin/perl
# Shells and the applets of busybox: the scripts shell/*.sh say the same on Phoenix as on this machine's Linux, to the byte.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Programs;
use Test::More;

use constant MIN_APPLETS => 60;

my %shell = (busybox => ['busybox', 'sh'], bash => ['bash-static'], zsh => ['zsh-static', '-f']);

# Of the words of a script, how many are names of applets.
sub applets_used
{
	my ($path) = @_;
	open my $from, '<', $path or die "$path: $!";
	local $/;
	my %used = map { $_ => 1 } grep { -l busybox() . "/$_" } <$from> =~ /[a-z]\w*/g;
	return scalar keys %used;
}

cmp_ok(applets_used("$FindBin::Bin/shell/busybox.sh"), '>=', MIN_APPLETS, 'applets in the script of busybox');

my %linux;
for my $name (sort keys %shell) {
	$linux{$name} = on_linux(busybox(), @{$shell{$name}}, "$FindBin::Bin/shell/$name.sh");
	is($linux{$name}{status}, 0, "Linux: $name") or diag($linux{$name}{out});
	unlike($linux{$name}{out}, qr/: (?:not found|No such file)/, "Linux: $name: all that it asks for is there");
	like($linux{$name}{out}, qr/^-- end$/m, "Linux: $name: to the end");
}

install_busybox();
install("$FindBin::Bin/shell/$_.sh", 't') for sort keys %shell;
my $script = join '', map { "mkdir /tmp/$_; cd /tmp/$_; echo '== $_'; @{$shell{$_}} /t/$_.sh </dev/null 2>&1; echo \"== status \$?\"\n" } sort keys %shell;
my $ran = on_phoenix(256, ['--deb', 'bash-static,zsh-static'], $script);
for my $name (sort keys %shell) {
	my ($text, $status) = $ran->{out} =~ /^== \Q$name\E\n(.*?)^== status (\d+)$/ms;
	($text) = $ran->{out} =~ /^== \Q$name\E\n(.*)/ms unless defined $text;
	my (@here, @there) = ();
	@here  = split /\n/, $linux{$name}{out};
	@there = split /\n/, $text // '';
	is_deeply(\@there, \@here, "Phoenix: $name says what it says on Linux") or diag($ran->{err}, "\n", differences(\@here, \@there));
	is($status, 0, "Phoenix: $name: status");
}
unlike($ran->{console}, qr/panic|leaked/, 'Phoenix: nothing leaked');
done_testing();

# A diff of two lists of lines.
sub differences
{
	my ($here, $there) = @_;
	my $one = Phoenix::write_file('linux.txt', join '', map { "$_\n" } @$here);
	my $two = Phoenix::write_file('phoenix.txt', join '', map { "$_\n" } @$there);
	return scalar `diff -u $one $two | head -n 100`;
}
