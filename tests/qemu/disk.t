#!/usr/bin/perl
# Block devices: the suite of requests, on each kind of device, in each way in which they can be told of; disks that fail, and
# disks that do not answer; and what --swap says to a mistake.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

# Runs the block suite, which writes all devices, with more options: what came of it.
sub block_suite
{
	my ($what, $words, @options) = @_;
	my $ran = run(['--mem', 64, '--append', "test=block $words", @options], '/bin/true');
	is($ran->{status}, 0, "$what: status 0") or diag($ran->{console});
	unlike($ran->{console}, qr/^not ok/m, "$what: all cases");
	return $ran->{console};
}

my $console = block_suite('devices of RAM', 'swap=ram:8 swap=ram:7');
like($console, qr/^# ram0$/m, 'the first was tested');
like($console, qr/^# ram1$/m, 'and the second');
my ($with) = $console =~ /^memory: (\d+) MiB of RAM/m;
my ($without) = block_suite('no device', '') =~ /^memory: (\d+) MiB of RAM/m;
is($without - $with, 15, 'their memory is no RAM');

$console = block_suite('sizes that there cannot be', 'swap=ram:x swap=ram: swap=ram:0 swap=ram:4000');
like($console, qr/^phoenix: swap=ram:$_: the size is not a number of MiB, 1 to 1048576$/m, "'$_' is no size") for 'x', '', '0';
like($console, qr/^memory: no room for a block device of 4000 MiB/m, 'more than there is');
unlike($console, qr/^# ram/m, 'and there is no device');

# virtio: how it interrupts, and how much it takes at a time.
$console = block_suite('two disks', '', '--swap', 64, '--swap', 33);
like($console, qr/^phoenix: vda: virtio-blk, 65536 KiB$/m, 'the first has its size');
like($console, qr/^phoenix: vdb: virtio-blk, 33792 KiB$/m, 'and the second');
like($console, qr/^# vda\n(?:ok.*\n)+# vdb$/m, 'both are tested');
unlike($console, qr/does not interrupt/, 'both interrupt');
unlike(block_suite('interrupts by the line', 'block.interrupts=line', '--swap', 64), qr/does not interrupt/, 'it interrupts');
like(block_suite('no interrupts', 'block.interrupts=off', '--swap', 64), qr/^phoenix: vda does not interrupt/m,
	'it is looked at');
for my $properties ('indirect_desc=off', 'queue-size=16', 'queue-size=16,indirect_desc=off', 'queue-size=4', 'seg-max-adjust=off') {
	local $ENV{QEMUEXTRA} = join ' ', map { "-global virtio-blk-pci.$_" } split /,/, $properties;
	like(block_suite($properties, '', '--swap', 64), qr/^# vda$/m, "$properties: tested");
}
{
	local $ENV{QEMUEXTRA} = '-machine q35';
	like(block_suite('another chipset', '', '--swap', 64), qr/^# vda$/m, 'it is found there');
}
for (['disable-modern=on', 'its modern interface cannot be reached'], ['disable-legacy=on,iommu_platform=on', 'it does not agree']) {
	my ($property, $line) = @$_;
	local $ENV{QEMUEXTRA} = join ' ', map { "-global virtio-blk-pci.$_" } split /,/, $property;
	like(block_suite($property, '', '--swap', 64), qr/^phoenix: virtio device at 00:02\.0: $line/m, "$property: a line says why");
}

# Runs the suite for disks with faults: what it says of the disk.
sub faults
{
	my ($what, $words, $swap) = @_;
	my $ran = run(['--mem', 64, '--append', "test=block_faults $words", '--swap', $swap], '/bin/true');
	is($ran->{status}, 0, "$what: status 0") or diag($ran->{console});
	return $ran->{console};
}

# Sector 80 is page 10, 160 page 20. The format "raw" tells blkdebug what it does.
my $file = write_file('faulty.img', '');
truncate $file, 8 << 20;
my $errors = join ',', map { qq({"event":"$_->[0]","sector":$_->[1],"errno":5,"once":false}) } ['read_aio', 80], ['write_aio', 160];
$console = faults('I/O errors', '', qq(json:{"driver":"raw","file":{"driver":"blkdebug",)
	. qq("image":{"driver":"file","filename":"$file"},"inject-error":[$errors]}}));
like($console, qr/^# vda, written: 255 done, 1 I\/O errors, 0 short, 0 timed out$/m, 'the page that cannot be written is an error');
like($console, qr/^# vda, read: 255 done, 1 I\/O errors, 0 short, 0 timed out$/m, 'and the one that cannot be read');
# The page that was not written does not count: it was never what it should be.
like($console, qr/^# vda, read: 1 wrong$/m, 'all others are what they should be');

# Faults that a device of RAM injects, and counts itself.
sub injected
{
	my ($rules) = @_;
	my $ran = run(['--mem', 64, '--append', "test=block_faults block.timeout=1 swap=ram:8,inject:$rules"], '/bin/true');
	is($ran->{status}, 0, "$rules: status 0") or diag($ran->{console});
	my %said = $ran->{console} =~ /^phoenix: ram0: injected (\S+): (\d+) of 768 requests$/mg;
	my %seen = (wrong => 0);
	my %names = ('I/O errors' => 'failed', short => 'short', 'timed out' => 'silent');
	while ($ran->{console} =~ m{^# ram0, [a-z ]+: \d+ done, (\d+) I/O errors, (\d+) short, (\d+) timed out$}mg) {
		$seen{failed} += $1;
		$seen{short} += $2;
		$seen{silent} += $3;
	}
	$seen{wrong} += $1 while $ran->{console} =~ /^# ram0, [a-z ]+: (\d+) wrong$/mg;
	return (\%said, \%seen, $ran->{console});
}

{
	my ($said, $seen) = injected('seed=1:read-error=10:write-error=10');
	cmp_ok($said->{$_}, '>', 10, "$_: some") for 'read-error', 'write-error';
	is($seen->{failed}, $said->{'read-error'} + $said->{'write-error'}, 'each is an error, and nothing else is');
	($said, $seen) = injected('seed=2:short=6');
	is($seen->{short}, $said->{short}, 'short reads are told');
	is($seen->{wrong}, 0, 'and what is not short is right');
	($said, $seen) = injected('seed=3:flip=7');
	is($seen->{wrong}, $said->{flip}, 'flipped bits are delivered: a disk that lies');
	($said, $seen) = injected('seed=4:lost=9');
	is($seen->{wrong}, 2 * $said->{lost}, 'so are the pages of lost writes, both times');
	($said, $seen) = injected('seed=5:misdirected=4');
	cmp_ok($seen->{wrong}, '>=', 2 * $said->{misdirected} - 10, 'and of misdirected ones');
	($said, $seen) = injected('seed=6:delay=3');
	is_deeply($seen, {wrong => 0, failed => 0, short => 0, silent => 0}, 'delays change nothing');
	($said, $seen) = injected('silent=300');
	is($seen->{silent}, 768 - 299, 'a device that is silent from a request on');
	is($said->{silent}, $seen->{silent}, 'is counted so');
	like((injected('flop=1'))[2], qr/^phoenix: swap: a rule for faults makes no sense, and none is used: flop=1$/m, 'a rule that there is not');
}

# Over a network: nbdkit's filters. What it runs knows it as $uri.
sub faults_of_nbd
{
	my ($what, $words, @nbdkit) = @_;
	my $console = scratch() . '/console';
	unlink $console;
	my $command = join ' ', map { Phoenix::quotemeta_shell($_) } root() . '/tools/phoenix-run', '--timeout', Phoenix::TIMEOUT,
		'--console', $console, '--mem', 64, '--append', "test=block_faults $words", '--swap';
	my $status = system 'nbdkit', '--exit-with-parent', '--log=null', '-U', '-', @nbdkit, '--run', qq($command "\$uri" /bin/true </dev/null >/dev/null 2>&1);
	is($status, 0, "$what: status 0") or diag(contents($console));
	return contents($console);
}

$console = faults_of_nbd('nothing wrong', '', 'memory', '8M');
like($console, qr/^# vda, read: 256 done, /m, 'all is read over a network');
like($console, qr/^# vda, read: 0 wrong$/m, 'and right');
$console = faults_of_nbd('errors of a network disk', '', '--filter=error', 'memory', '8M', 'error-pread=EIO', 'error-pread-rate=30%');
my ($done, $failed) = $console =~ m{^# vda, read: (\d+) done, (\d+) I/O errors, 0 short, 0 timed out$}m;
cmp_ok($failed, '>', 20, 'some reads fail');
is($done + $failed, 256, 'and all others do not');
like($console, qr/^# vda, read: 0 wrong$/m, 'and are right');
$console = faults_of_nbd('a silent disk', 'block.timeout=2', '--filter=delay', 'memory', '8M', 'rdelay=5');
like($console, qr/^phoenix: vda does not answer: a request of 1 pages fails after 2 s, and so will all others$/m, 'a line says so');
like($console, qr/^# vda, read: 0 done, 0 I\/O errors, 0 short, 256 timed out$/m, 'all reads time out');
like($console, qr/^phoenix: vda answers again$/m, 'its pages come back when it answers');

# --swap
sub refuses
{
	my ($swap, $line) = @_;
	my $ran = run(['--swap', $swap], '/bin/true');
	is($ran->{status}, 125, "--swap $swap: status 125");
	like($ran->{err}, $line, "--swap $swap: says why");
}
refuses('0', qr/^phoenix-run: --swap: '0': the size is not 1 to/);
refuses('64K', qr/^phoenix-run: --swap: '64K': neither a size in MiB nor a file/);
refuses(scratch(), qr/not an ordinary file or block device$/m);
refuses('64,pri=high', qr/the priority is not a number, -1 to 32767$/m);
refuses(write_file('small', 'x' x 100), qr/smaller than 64 KiB$/m);
refuses('nbd+unix:///?socket=' . scratch() . '/none', qr/Failed to connect/);
done_testing();
