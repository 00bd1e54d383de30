#!/usr/bin/perl
# Programs of Debian's packages, as they are installed on this machine: each script debian/*.sh says the same on Phoenix as here, to the
# byte. At a script's head are the packages that it is about, bash and coreutils apart, and how much memory it gets.
#
# DEBIAN_SCRIPTS: only those, by name.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Programs;
use Phoenix;
use Test::More;

use constant {
	MEMORY  => 256, # MiB, where a script does not say
	TIMEOUT => 900,
};

sub said_at_head
{
	my ($path, $what) = @_;
	my ($said) = Phoenix::contents($path) =~ /^# $what: (.*)$/m;
	return split ' ', $said // '';
}

my @scripts = map { m{([^/]+)\.sh\z} ? $1 : () } sort glob "$FindBin::Bin/debian/*.sh";
my %only = map { $_ => 1 } split /[\s,]+/, $ENV{DEBIAN_SCRIPTS} // '';

for my $name (grep { !%only or $only{$_} } @scripts) {
	my $script = "$FindBin::Bin/debian/$name.sh";
	my ($memory) = said_at_head($script, 'memory');
	my $linux = on_linux('/usr/bin:/bin', 'bash', $script);
	my $ran = run_script($memory // MEMORY, TIMEOUT, ['--file', "$script:/script.sh", '--env', 'HOME=/',
		'--deb', join(',', qw(bash coreutils), said_at_head($script, 'packages')), '--'],
		['bash'], 'mkdir /work; cd /work; bash /script.sh 2>&1 </dev/null');
	# Scripts and the place they run at have other names here.
	my ($here, $there) = map { s{\S*/(?:script|\Q$name\E)\.sh}{SCRIPT}gr } $linux->{out}, $ran->{out};
	$here =~ s{\Q@{[Phoenix::scratch()]}\E/linux}{/work}g;
	is($there, $here, "$name: says what it says on Linux") or diag($ran->{err});
	is($ran->{status}, $linux->{status}, "$name: status");
	unlike($ran->{console}, qr/panic|leaked/, "$name: nothing leaked");
}
done_testing();
