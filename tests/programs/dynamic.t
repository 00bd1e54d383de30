#!/usr/bin/perl
# A dynamic program's memory: what of which file is mapped with which rights, as /proc/self/maps says, and the auxiliary vector's entries, are what they are
# on Linux for the same files; the files' numbers are theirs. And libraries with damage in them: programs may die of it, the system does not.
use strict;
use warnings;
no warnings 'portable'; # addresses of 64 bits
use FindBin;
use lib $FindBin::Bin;
use Programs;
use Phoenix;
use Test::More;

use constant {
	LOW_END => 0x7800_0000, # <vm/layout.h>: what is linked, or mapped from files, is below
	DAMAGES => 40,
};

my $program = '/usr/bin/cat';
my $damage = <<'END';
export LD_LIBRARY_PATH=/tmp
size=$(stat -L -c %s LIBRARY)
for n in $(seq COUNT); do
	cp -L LIBRARY /tmp/NAME
	head -c 64 /dev/urandom | dd of=/tmp/NAME bs=1 seek=$((size * n / (COUNT + 1))) conv=notrunc 2>/dev/null
	ls -l / >/dev/null 2>&1
done
cp -L LIBRARY /tmp/NAME
for n in 0 64 500 4096 100000; do
	head -c $n LIBRARY >/tmp/NAME
	ls -l / >/dev/null 2>&1
done
rm /tmp/NAME
unset LD_LIBRARY_PATH
echo "the system lives"
END
my ($library) = map { m{=> (/\S*libselinux\S+)} ? $1 : () } qx(ldd /usr/bin/ls);
my ($name) = $library =~ m{([^/]+)\z};
$damage =~ s/LIBRARY/$library/g;
$damage =~ s/NAME/$name/g;
$damage =~ s/COUNT/DAMAGES/ge;

my $ran = run(['--timeout', 600, '--deb', 'coreutils,bash', '--'], 'bash', '-c', "LD_SHOW_AUXV=1 $program /dev/null; echo ==; $program /proc/self/maps; echo ==; "
	. "stat -L -c '%d %i %n' \$($program /proc/self/maps | while read -r a b c d e f; do case \$f in /*) echo \$f; esac; done); echo ==; sleep 60 & sleep 60 & sleep 2; cat /proc/\$!/smaps; kill %1 %2; echo ==; $damage");
my ($auxv, $maps, $stat, $smaps, $lives) = split /^==\n/m, $ran->{out};

# The entries' names; AT_???: what this machine's kernel has, and the C library does not know.
sub entries { return [map { /^(AT_\w+):/ ? $1 : () } split /\n/, $_[0]] }
is_deeply(entries($auxv // ''), entries(scalar qx(env -i LD_SHOW_AUXV=1 $program /dev/null)), 'the auxiliary vector has what Linux\'s has, in its order');

# [path, offset, pages, rights] of each mapping of a file, in order of address from file to file.
sub mappings
{
	my @all;
	for (split /\n/, $_[0]) {
		my ($start, $end, $rights, $offset, $path) = m{^(\w+)-(\w+) (\S+) (\w+) \S+ \d+ +(/\S+)} or next;
		push @all, [$path, hex $offset, (hex($end) - hex $start) / 4096, $rights];
	}
	return [map { join ' ', @$_ } sort { $a->[0] cmp $b->[0] || $a->[1] <=> $b->[1] || $a->[3] cmp $b->[3] } @all];
}
is_deeply(mappings($maps // ''), mappings(scalar qx(env -i $program /proc/self/maps)), 'the same parts of the same files are mapped with the same rights');

my (%numbers, @wrong, @high);
for (split /\n/, $stat // '') {
	my ($device, $inode, $path) = split / /;
	$numbers{$path} = sprintf '%02x:%02x %d', $device >> 8, $device & 0xff, $inode;
}
for (split /\n/, $maps // '') {
	my ($end, $said, $path) = m{^\w+-(\w+) \S+ \w+ (\S+ \d+) +(/\S+)} or next;
	push @wrong, $_ unless ($numbers{$path} // '') eq $said;
	push @high, $_ if hex $end > LOW_END;
}
cmp_ok(scalar keys %numbers, '>', 2, 'several files are mapped');
is_deeply(\@wrong, [], 'with their devices and inodes');
is_deeply(\@high, [], 'in the low 2 GB');
# Of the C library's text, what sleep has used the other sleep has used as well; its data is its own.
sub figures
{
	my ($rights) = @_;
	my ($entry) = $smaps =~ m{^\w+-\w+ \Q$rights\E \S+ \S+ \d+ +\S*/libc\.so\.6\n(.*?)(?=^\w+-\w+ |\z)}ms;
	return {($entry // '') =~ /^(\w+): +(\d+) kB$/mg};
}
my ($text, $data) = (figures('r-xp'), figures('rw-p'));
cmp_ok($text->{Rss}, '>', 0, 'smaps: text of the library is resident');
is($text->{Shared_Clean}, $text->{Rss}, 'and shared to the page');
cmp_ok($text->{Pss}, '<=', $text->{Rss} / 2, 'each process has its part of it');
is($data->{Private_Dirty}, $data->{Rss}, 'its data is private');

is($lives, "the system lives\n", 'a library with damage at ' . DAMAGES . ' places, and cut, harms no one else') or diag($ran->{err});
unlike($ran->{console}, qr/panic|leaked/, 'nothing leaked');
done_testing();
