#!/usr/bin/perl
# phoenix-run --root and --deb: which program is run, with which environment, and mistakes.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use File::Copy qw(copy);
use Phoenix;
use Test::More;

my $tree = scratch() . '/tree';
mkdir $_ for $tree, "$tree/bin", "$tree/opt", "$tree/etc";
for my $place ('bin/told', 'opt/told', 'opt/locked') {
	copy(program('arguments'), "$tree/$place") or die "$tree/$place: $!";
	chmod 0755, "$tree/$place";
}
chmod 0644, "$tree/opt/locked";
symlink 'told', "$tree/bin/link";
symlink '/opt/told', "$tree/absolute";
symlink 'nowhere', "$tree/dangling";
write_file('tree/etc/text', "text\n");
chmod 0755, "$tree/etc/text";
link "$tree/etc/text", "$tree/opt/text";
write_file('tree/etc/large', 'x' x 9999);
chmod 0640, "$tree/etc/large";
utime 1, 1234567890, "$tree/etc/large";
mkdir "$tree/empty";
chmod 01755, "$tree/empty";
$ENV{TERM} = 'test-terminal';

# A run of the program that prints its arguments and environment: its status and argv[0].
sub told
{
	my ($options, @words) = @_;
	my $ran = run($options, @words);
	my ($name) = $ran->{out} =~ /^argv\[0\] <(.*)>$/m;
	return ($ran->{status}, $name // $ran->{err});
}

is_deeply([told(['--root', $tree], '/opt/told', 'status', 3)], [3, '/opt/told'], 'an absolute path of the tree');
is_deeply([told(['--root', $tree], 'opt/told', 'status', 3)], [3, '/opt/told'], 'a path from its root on');
is_deeply([told(['--root', $tree, '--'], 'told', 'status', 3)], [3, '/bin/told'], 'a name in PATH, after --');
is_deeply([told(['--root', $tree], '/bin/link', 'status', 3)], [3, '/bin/link'], 'a symbolic link');
is_deeply([told(['--root', $tree], '/absolute', 'status', 3)], [3, '/absolute'], 'which is followed within the tree');
is_deeply([told(['--root', $tree], program('arguments'), 'status', 3)], [3, '/bin/arguments'], 'a file of this machine');
is_deeply([told(["--root=$tree", '--deb', 'busybox-static'], '/opt/told', 'status', 3)], [3, '/opt/told'],
	'--deb ends at a word with a slash');
is_deeply([told(['--deb', 'busybox-static', '--root', $tree], '/opt/told', 'status', 3)], [3, '/opt/told'], 'and at an option');

my $ran = run(['--root', $tree, '--env', 'HOME=/tmp', '--env', 'A=b'], '/bin/told');
like($ran->{out}, qr{^env <PATH=/usr/local/sbin:.*>\nenv <TERM=test-terminal>\nenv <HOME=/tmp>\nenv <A=b>\n}m, 'the environment');
unlike(run([], program('arguments'))->{out}, qr/^env/m, 'which is empty otherwise');

$ran = run(['--deb', 'busybox-static'], '/bin/busybox', 'echo', 'two words', '*');
is($ran->{out}, "two words *\n", 'a program of a Debian package');
is($ran->{status}, 0, 'its status');
$ran = run(['--deb', 'busybox-static', '--'], 'busybox', 'false');
is($ran->{status}, 1, 'its status, whatever it is');

# What the files of a tree are, here and there.
{
	my @names = qw(opt opt/told opt/locked bin/link absolute dangling etc/text opt/text etc/large empty);
	my $format = '%n %f %h %u %g %Y %N %s';
	my $here = qx(cd '$tree' && busybox stat -c '$format' @names);
	# A directory's links and size are the file system's own.
	my $sizeless = sub { $_[0] =~ s/^(\S+ 4\w{3}) \d+ (.*) \d+$/$1 $2/gmr };
	$ran = run(['--root', $tree, '--deb', 'busybox-static', '--'], 'busybox', 'stat', '-c', $format, @names);
	is($sizeless->($ran->{out}), $sizeless->($here), 'kinds, permissions, links, owners, times, sizes are those of the tree');
	my @contents = ('etc/text', 'opt/text', 'etc/large', 'opt/told', 'bin/link');
	$ran = run(['--root', $tree, '--deb', 'busybox-static', '--'], 'busybox', 'md5sum', @contents);
	is($ran->{out}, scalar qx(cd '$tree' && busybox md5sum @contents), 'and the contents');
	my $file = write_file('given', "given\n");
	symlink $file, scratch() . '/link-to-given';
	$ran = run(['--deb', 'busybox-static', '--file', "$file:/tmp/a b", '--file', scratch() . '/link-to-given', '--'],
		'busybox', 'cat', '/tmp/a b', '/link-to-given');
	is($ran->{out}, "given\n" x 2, '--file: a file, and what a link points to');
	is(run(['--deb', 'busybox-static', '--'], 'busybox', 'stat', '-c', '%A', '/tmp', '/root', '/dev/shm')->{out},
		"drwxrwxrwt\ndrwx------\ndrwxrwxrwt\n", 'there always are /tmp, /root and /dev/shm');
}

$ran = run(['--root', $tree, '--deb', 'busybox-static', '--'], '/bin/busybox', 'sh', '-c', 'ls / | grep -x absolute; exit 9');
is($ran->{out}, "absolute\n", 'a shell with a pipeline');
is($ran->{status}, 9, 'its status');

# Options, words, status, what is said.
for (['a directory that is not there', 125, qr{--root: /no/such: No such file}, ['--root', '/no/such'], '/bin/told'],
	['a root that is a file', 125, qr{--root: \S+: Not a directory}, ['--root', "$tree/bin/told"], '/bin/told'],
	['packages that are not installed', 125,
		qr{^phoenix-run: not installed here: no-such none; install with\n    sudo apt-get install \S+ no-such none\n\z},
		['--deb', 'no-such,none', 'busybox-static'], '/bin/busybox'],
	['a program that is neither there nor here', 127, qr{^phoenix-run: /no/such: no such file$}m, ['--root', $tree], '/no/such'],
	['a file that is not executable', 126, qr{^phoenix-run: /opt/locked: not executable$}m, ['--root', $tree], '/opt/locked'],
	['a directory', 126, qr{^phoenix-run: /opt: not an ordinary file$}m, ['--root', $tree], '/opt'],
	['an executable that is no program', 126, qr{^    phoenix: cannot run /etc/text: }m, ['--root', $tree], '/etc/text'],
	['packages without a program', 126, qr{no program given \(the packages are busybox-static echo: -- ends}m,
		['--deb', 'busybox-static', 'echo']],
	['more than there is memory for', 125, qr{too little RAM}, ['--mem', 1, '--root', $tree], '/opt/told'],
	) {
	my ($name, $status, $line, $options, @words) = @$_;
	$ran = run($options, @words);
	is($ran->{status}, $status, "$name: status $status");
	like($ran->{err}, $line, "$name: a line says so");
	is($ran->{out}, '', "$name: nothing else");
}
is_deeply([grep { !m{/phoenix-console\.} } glob scratch() . '/phoenix-run.*'], [], 'no file is left');
done_testing();
