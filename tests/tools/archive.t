#!/usr/bin/perl
# tools/mkarchive: what is in an archive, read back with a reader of this test's own; that equal inputs give equal
# archives; that busybox's cpio can read them; mistakes.
use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(:mode);
use File::Basename qw(dirname);
use File::Temp;
use POSIX qw(mkfifo);
use Test::More;

my $top = dirname(dirname(dirname(abs_path(__FILE__))));
my $scratch = File::Temp->newdir('phoenix-archive-XXXXXX', TMPDIR => 1);

use lib dirname(dirname(dirname(abs_path(__FILE__)))) . '/tools/lib';
use Archive;
use Root;

sub contents
{
	my ($path) = @_;
	open my $from, '<:raw', $path or die "$path: $!";
	local $/;
	return scalar <$from> // '';
}

sub write_file
{
	my ($name, $bytes, $permissions) = @_;
	open my $to, '>:raw', "$scratch/$name" or die "$scratch/$name: $!";
	print $to $bytes;
	close $to or die "$scratch/$name: $!";
	chmod $permissions // 0644, "$scratch/$name";
	return "$scratch/$name";
}

# The members by name, and the names in their order.
sub members
{
	my ($file) = @_;
	my $bytes = contents($file);
	my ($at, %members, @names) = (0);
	while (1) {
		my ($magic, @field) = unpack 'a6' . 'a8' x 13, substr $bytes, $at, 110;
		die "no header at $at" unless $magic eq '070701';
		my %member;
		@member{qw(inode mode uid gid links mtime bytes d1 d2 major minor name_bytes check)} = map { hex } @field;
		my $name = unpack 'Z*', substr $bytes, $at + 110, $member{name_bytes};
		last if $name eq 'TRAILER!!!';
		$member{at} = ($at + 110 + $member{name_bytes} + 3) & ~3;
		$member{contents} = substr $bytes, $member{at}, $member{bytes};
		$at = ($member{at} + $member{bytes} + 3) & ~3;
		die "$name twice" if $members{$name};
		$members{$name} = \%member;
		push @names, $name;
	}
	return (\%members, @names);
}

# mkarchive's status and what it said.
sub make
{
	my ($file, @words) = @_;
	my $pid = open(my $from, '-|') // die "fork: $!";
	if ($pid == 0) {
		open STDERR, '>&', \*STDOUT;
		exec "$top/tools/mkarchive", $file, @words or exit 99;
	}
	local $/;
	my $said = <$from> // '';
	close $from;
	return ($? >> 8, $said);
}

# ---- A tree ----------------------------------------------------------------------------------------

my $tree = "$scratch/tree";
mkdir $_ for $tree, "$tree/b", "$tree/b/empty", "$tree/locked";
write_file('tree/b/first', "contents\n", 0755);
write_file('tree/b/second', 'x' x 5000, 0640);
write_file('tree/b.txt', '', 0600);
write_file("tree/a new\nline", 'odd');
symlink 'first',        "$tree/b/link";
symlink '/no/such/one', "$tree/dangling";
link "$tree/b/second", "$tree/another";
mkfifo("$tree/pipe", 0622);
chmod 0622,  "$tree/pipe";
chmod 04711, "$tree/b/first";
chmod 0711,  "$tree/locked";
utime 1, 1234567890, "$tree/b/first";

is_deeply([make("$scratch/one", '--tree', $tree)], [0, ''], 'an archive of a tree is made');
my ($got, @names) = members("$scratch/one");
is_deeply(\@names, ["a new\nline", 'b', 'b/empty', 'b/first', 'b/link', 'b.txt', 'dangling', 'locked', 'pipe', 'another', 'b/second'],
	'all that is in it, each directory before its contents, hard links together at the end');
is($got->{'b/first'}{mode}, S_IFREG | 04711, 'permissions');
is($got->{'b/first'}{mtime}, 1234567890, 'time');
is($got->{'b/first'}{uid}, (stat "$tree/b/first")[4], 'owner');
is($got->{'b/first'}{gid}, (stat _)[5], 'group');
is($got->{'b/first'}{contents}, "contents\n", 'contents');
is($got->{'b/first'}{at} % 4096, 0, 'on a page');
is($got->{'b.txt'}{bytes}, 0, 'an empty file');
is($got->{locked}{mode}, S_IFDIR | 0711, 'a directory');
is($got->{pipe}{mode}, S_IFIFO | 0622, 'a FIFO');
is_deeply([@{$got->{'b/link'}}{qw(mode contents)}], [S_IFLNK | 0777, 'first'], 'a symbolic link');
is($got->{dangling}{contents}, '/no/such/one', 'which may point nowhere');
is($got->{another}{inode}, $got->{'b/second'}{inode}, 'hard links are one inode');
is_deeply([map { $got->{$_}{links} } 'another', 'b/second', 'b/first'], [2, 2, 1], 'with their number');
is_deeply([map { $got->{$_}{bytes} } 'another', 'b/second'], [5000, 0], 'and the contents once, at the first');
is($got->{another}{at} % 4096, 0, 'on a page');
my %inodes = map { $got->{$_}{inode} => 1 } @names;
is(scalar keys %inodes, @names - 1, 'everything else has an inode of its own');
is(-s "$scratch/one", (-s _) & ~4095, 'the archive ends on a page');

make("$scratch/two", '--tree', $tree);
ok(contents("$scratch/one") eq contents("$scratch/two"), 'equal trees, equal archives');

is_deeply([Archive::device_numbers(0x103)], [1, 3], "a device's numbers");
is_deeply([Archive::device_numbers(0x11112c70)], [300, 70000], "large ones");

mkdir "$scratch/unpacked";
my $unpacked = qx(cd '$scratch/unpacked' && busybox cpio -idm <'$scratch/one' 2>&1);
is($?, 0, 'cpio reads it') or diag($unpacked);
# Directories have the time at which something was put into them.
my $list = q(find . ! -type p '(' -type d -printf '%M %p\n' -o -printf '%M %n %u %g %s %TY-%Tm-%Td %TH:%TM %p %l\n' ')' | sort);
is(qx(cd '$scratch/unpacked' && $list), qx(cd '$tree' && $list), 'and makes the same tree of it');

# ---- Other words -----------------------------------------------------------------------------------

my $program = write_file('program', 'new', 0755);
is_deeply([make("$scratch/three", '--standard', '--tree', $tree, "b/first=$program", "c/d/e=$program", "/b/link=$program")],
	[0, ''], 'files in place of those of a tree');
($got) = members("$scratch/three");
is_deeply([map { $got->{$_}{contents} } 'b/first', 'c/d/e', 'b/link'], ['new', 'new', 'new'], 'have their places');
is_deeply([@{$got->{'c/d/e'}}{qw(mode uid gid mtime)}], [S_IFREG | 0755, 0, 0, 0], 'are executable, without owner or time');
is($got->{'c/d'}{mode}, S_IFDIR | 0755, 'and have directories above them');
is($got->{tmp}{mode}, S_IFDIR | 01777, 'the standard root has /tmp');
like($got->{'etc/passwd'}{contents}, qr/^root:x:0:0:.*^nobody:/ms, 'and users');
ok($got->{$_}, "and /$_") for qw(bin dev dev/shm proc sys root etc/group etc/hostname etc/profile);

mkdir "$tree/etc";
write_file('tree/etc/passwd', "mine\n");
mkdir "$tree/usr";
mkdir "$tree/usr/bin";
symlink 'usr/bin', "$tree/bin";
make("$scratch/four", '--tree', $tree, '--standard', "bin/program=$program");
($got) = members("$scratch/four");
is($got->{'etc/passwd'}{contents}, "mine\n", 'a tree has a standard file of its own');
is($got->{bin}{contents}, 'usr/bin', 'a link in place of a standard directory stays');
is($got->{'usr/bin/program'}{contents}, 'new', 'and what goes through it goes where it points');

is_deeply([make("$scratch/five", '--busybox', "bin/cat=$program")], [0, ''], 'busybox');
($got) = members("$scratch/five");
cmp_ok($got->{'bin/busybox'}{bytes}, '>', 1000000, 'is there');
is_deeply([@{$got->{'bin/sh'}}{qw(mode contents)}], [S_IFLNK | 0777, 'busybox'], 'with a link for sh');
cmp_ok(scalar(grep { $_->{contents} eq 'busybox' } values %$got), '>', 200, 'and all its applets');
is($got->{'bin/cat'}{contents}, 'new', 'but for one that is replaced');

is_deeply([make("$scratch/six", '--deb', 'busybox-static')], [0, ''], 'a package');
($got) = members("$scratch/six");
my $bin = -l '/bin' ? readlink '/bin' : 'bin';
is($got->{"$bin/busybox"}{mode}, S_IFREG | 0755, 'has its program');
is($got->{bin}{mode}, (lstat '/bin')[2], 'where this machine has it, with its links');
is($got->{"$bin/busybox"}{mtime}, (stat '/bin/busybox')[9], 'as it is here');

is_deeply([make("$scratch/seven", '--deb', 'python3-minimal')], [0, ''], 'a package that depends on others');
($got) = members("$scratch/seven");
ok($got->{'usr/bin/python3.11'}, 'brings them');
ok($got->{$_}, "and the interpreter of ELF files: $_") for map { s{^/}{}r } abs_path('/lib64/ld-linux-x86-64.so.2');
is($got->{lib64}{contents}, readlink('/lib64'), 'by the name that they know') if -l '/lib64';
is((grep { m{^usr/share/doc/libc6} } keys %$got), 0, 'but not what is for people');
my %wanted = map { $_ => 1 } map { /NEEDED +(\S+)/ ? $1 : () } qx(objdump -p /usr/bin/python3.11);
write_cache($got->{'etc/ld.so.cache'}{contents});
my %cached = map { /^\s+(\S+) .*=> (\S+)$/ ? ($1 => $2) : () } qx(/sbin/ldconfig -p -C '$scratch/cache');
is_deeply([grep { !$cached{$_} } sort keys %wanted], [], 'the libraries it needs are in the cache, which ldconfig reads');
is_deeply([grep { !-e } values %cached], [], 'and where it says they are');

sub write_cache
{
	my ($bytes) = @_;
	open my $to, '>:raw', "$scratch/cache" or die "$scratch/cache: $!";
	print {$to} $bytes // '';
	close $to or die "$scratch/cache: $!";
}

# ---- Mistakes --------------------------------------------------------------------------------------

symlink 'loop', "$tree/loop";
for (['a file that is not there', qr{/no/such}, 'bin/x=/no/such/file'],
	['a tree that is not there', qr{/no/such: not a directory}, '--tree', '/no/such'],
	['a tree that is a file', qr{not a directory}, '--tree', $program],
	['an option without its value', qr{--tree needs a value}, '--tree'],
	['an unknown option', qr{not an option or NAME=FILE: --what}, '--what'],
	['a package that is not installed', qr{not installed here: no-such-package; .*\n.*apt-get install \S+ no-such-package$}m,
		'--deb', 'no-such-package'],
	['a package name that is none', qr{not installed here: busy\*}, '--deb', 'busy*'],
	['a file in a file', qr{/b\.txt is not a directory}, '--tree', $tree, "b.txt/x=$program"],
	['a file in place of a directory', qr{not empty}, '--tree', $tree, "b=$program"],
	['a circle of links', qr{too many symbolic links}, '--tree', $tree, "loop/x=$program"],
	['a name that is too long', qr{too long}, ('long/' x 900) . "x=$program"],
	) {
	my ($name, $line, @words) = @$_;
	my ($status, $said) = make("$scratch/bad", @words);
	isnt($status, 0, "$name fails");
	like($said, qr/^mkarchive: /, "$name: in a line");
	like($said, $line, "$name: that says why");
	ok(!-e "$scratch/bad", "$name: no archive is left");
}

SKIP: {
	skip 'device nodes are for root', 1 if $> != 0 or system('mknod', "$tree/device", 'c', 300, 70000) != 0;
	make("$scratch/seven", '--tree', $tree);
	($got) = members("$scratch/seven");
	is_deeply([@{$got->{device}}{qw(mode major minor bytes)}], [S_IFCHR | ((stat "$tree/device")[2] & 07777), 300, 70000, 0],
		'a device node');
}
done_testing();
