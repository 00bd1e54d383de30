# packages: perl coreutils dash
cat >words.pl <<'END'
use strict;
use warnings;
use POSIX qw(floor strftime);
use List::Util qw(sum shuffle);
use Digest::SHA qw(sha256_hex);
use Socket;
my %square = map { $_ => $_ * $_ } 1 .. 50000;
print scalar(keys %square), ' ', sum(values %square), "\n";
print join(',', sort { $a <=> $b } shuffle 1 .. 20), "\n";
my $text = join ' ', map { "word$_" } 1 .. 2000;
my $count = () = $text =~ /\bword\d*7\b/g;
print "$count ", sha256_hex($text), "\n";
print strftime('%Y-%m-%d', gmtime 86400 * 365), ' ', floor(-2.5), "\n";
pipe my $from, my $to or die;
my $pid = fork // die;
if (!$pid) { close $from; print {$to} "from the child\n"; close $to; exit 3 }
close $to;
print <$from>;
waitpid $pid, 0;
print $? >> 8, "\n";
local $SIG{ALRM} = sub { die "alarm\n" };
alarm 1;
eval { sleep 10 };
print $@;
socketpair my $one, my $other, AF_UNIX, SOCK_STREAM, 0 or die;
syswrite $one, 'through a socket';
sysread $other, my $got, 99;
print "$got\n";
open my $numbers, '>', 'numbers' or die;
print {$numbers} "$_\n" for shuffle 1 .. 1000;
close $numbers;
open my $sorted, '-|', 'sort -n numbers | tail -n 1' or die;
print <$sorted>;
close $sorted;
print `sort -n numbers | head -n 2 | tr '\\n' ' '`, "\n";
END
perl words.pl
(perl -e 'kill 9, $$'; exit $?) 2>/dev/null
echo "status $?"
