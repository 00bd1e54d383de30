# The shared libraries that programs need: what ELF files ask for (System V ABI, chapter 5), where this machine has it, and the cache
# in which the C library's loader looks libraries up (ld.so(8), ldconfig(8)).
#
# What is not found is left to the loader to complain of: it may be something that is never loaded.
package Libraries;
use strict;
use warnings;
use Exporter qw(import);
use Fcntl qw(:mode);
use File::Basename qw(dirname);
use Packages qw(add_path);

our @EXPORT_OK = qw(add_libraries);

use constant {
	ELF64_LITTLE => "\x7fELF\x02\x01",
	EM_X86_64    => 62,
	PT_LOAD      => 1,
	PT_DYNAMIC   => 2,
	PT_INTERP    => 3,
	DT_NEEDED    => 1,
	DT_STRTAB    => 5,
	DT_RPATH     => 15,
	DT_RUNPATH   => 29,
	HEADER       => 64,
	PHDR         => 56,
	LARGEST      => 1 << 20, # of a table of strings or headers that is looked at
	CACHE_FILE   => 'etc/ld.so.cache',
	CACHE_MAGIC  => 'glibc-ld.so.cache1.1',
	CACHE_LITTLE => 2,      # its byte order
	CACHE_HEADER => 48,
	CACHE_ENTRY  => 24,
	X86_64_LIBC6 => 0x0303, # kind of a library, in the cache
};

# Where the loader looks by itself, in this order.
my @usual = qw(/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib /usr/lib);

# Loaded by the C library itself, by name: pthread_exit(3), backtrace(3).
my %hidden = ('libc.so.6' => ['libgcc_s.so.1']);

# ---- ELF files ----------------------------------------------------------------------------------------

sub bytes_at
{
	my ($from, $offset, $count) = @_;
	return '' if $count > LARGEST or not sysseek $from, $offset, 0;
	sysread $from, my $bytes, $count or return '';
	return $bytes;
}

# What a file of this machine asks for: {interpreter, needed => [names], paths => [directories]}; undef if it is no ELF file for x86-64.
sub read_elf
{
	my ($path) = @_;
	open my $from, '<:raw', $path or return undef;
	my $header = bytes_at($from, 0, HEADER);
	return undef unless length $header == HEADER and substr($header, 0, 6) eq ELF64_LITTLE
		and unpack('x18 v', $header) == EM_X86_64;
	my ($table, $entry_bytes, $count) = unpack 'x32 Q< x14 v v', $header;
	my %elf = (needed => [], paths => []);
	return \%elf unless $entry_bytes == PHDR;
	my @headers = grep { length == PHDR } unpack '(a56)*', bytes_at($from, $table, $count * PHDR); # a file may be cut
	my (@loads, $dynamic);
	for (@headers) {
		my ($type, $offset, $address, $bytes) = unpack 'L< x4 Q< Q< x8 Q<', $_;
		push @loads, [$address, $offset, $bytes] if $type == PT_LOAD;
		$dynamic = bytes_at($from, $offset, $bytes) if $type == PT_DYNAMIC;
		$elf{interpreter} = unpack 'Z*', bytes_at($from, $offset, $bytes) if $type == PT_INTERP;
	}
	read_dynamic(\%elf, $from, $dynamic, @loads) if defined $dynamic;
	return \%elf;
}

sub read_dynamic
{
	my ($elf, $from, $dynamic, @loads) = @_;
	my @entries = unpack '(Q<2)*', $dynamic;
	my (@strings, $at);
	while (my ($tag, $value) = splice @entries, 0, 2) {
		$at = $value if $tag == DT_STRTAB;
		push @strings, [$tag, $value] if $tag == DT_NEEDED or $tag == DT_RPATH or $tag == DT_RUNPATH;
	}
	my ($load) = defined $at ? grep { $at >= $_->[0] and $at < $_->[0] + $_->[2] } @loads : ();
	return unless $load;
	my $left = $load->[0] + $load->[2] - $at;
	my $table = bytes_at($from, $load->[1] + $at - $load->[0], $left < LARGEST ? $left : LARGEST);
	for (@strings) {
		my ($tag, $offset) = @$_;
		next if $offset >= length $table;
		my $string = unpack "x$offset Z*", $table;
		push @{$tag == DT_NEEDED ? $elf->{needed} : $elf->{paths}}, $tag == DT_NEEDED ? $string : split /:/, $string;
	}
}

# ---- Finding libraries ------------------------------------------------------------------------------------

# This machine's paths of libraries by name, as ldconfig has them.
my $known;

sub known_library
{
	my ($name) = @_;
	if (not $known) {
		$known = {};
		my ($ldconfig) = grep { -x } '/sbin/ldconfig', '/usr/sbin/ldconfig';
		my @lines = defined $ldconfig ? qx($ldconfig -p 2>/dev/null) : ();
		for (@lines) {
			my ($library, $kind, $path) = /^\s+(\S+) \(([^)]*)\) => (\S+)$/ or next;
			$known->{$library} //= $path if $kind =~ /^libc6,x86-64(?:,|\z)/;
		}
	}
	return $known->{$name};
}

# Puts a file of this machine into the archive, with the links that lead to it.
sub add_with_links
{
	my ($archive, $path) = @_;
	add_path($archive, $path);
	while (-l $path) {
		my $target = readlink $path;
		$path = $target =~ m{^/} ? $target : dirname($path) . "/$target";
		add_path($archive, $path);
	}
}

# Sees to it that a library which the file `of` asks for is in the archive. The directory in which the loader finds it; undef if it has none.
sub add_library
{
	my ($archive, $name, $of, $elf) = @_;
	my $origin = dirname($of);
	my @own = map { s/\$(?:ORIGIN|\{ORIGIN\})/$origin/gr } @{$elf->{paths}};
	for my $directory (@own, @usual) {
		return $directory if $archive->find("$directory/$name");
	}
	my ($path) = grep { -f } map { "$_/$name" } @own;
	$path //= known_library($name);
	($path) = grep { -f } map { "$_/$name" } @usual unless defined $path;
	return undef unless defined $path;
	add_with_links($archive, $path);
	return dirname($path);
}

# ---- The cache ----------------------------------------------------------------------------------------------

# The loader's order of names: numbers in them count by their value.
sub compare_names
{
	my ($left, $right) = @_;
	my @left  = $left =~ /(\d+|\D)/g;
	my @right = $right =~ /(\d+|\D)/g;
	while (@left and @right) {
		my ($one, $other) = (shift @left, shift @right);
		my ($a_number, $other_number) = (scalar $one =~ /^\d/, scalar $other =~ /^\d/);
		return $a_number ? 1 : -1 if $a_number xor $other_number;
		my $order = $a_number ? $one <=> $other : ord $one <=> ord $other;
		return $order if $order;
	}
	return @left <=> @right;
}

# /etc/ld.so.cache: a header, an entry for each library, the strings. The loader seeks by halves, from the last name to the first.
sub cache_bytes
{
	my ($paths) = @_;
	my @names = sort { compare_names($b, $a) } keys %$paths;
	my ($entries, $strings, $start) = ('', '', CACHE_HEADER + CACHE_ENTRY * @names);
	for my $name (@names) {
		my $path = $paths->{$name};
		my $at = $start + length $strings;
		$strings .= "$path\0";
		my $key = $path =~ m{/\Q$name\E\z} ? $at + length($path) - length $name : undef;
		$entries .= pack 'l< L< L< L< Q<', X86_64_LIBC6, $key, $at, 0, 0;
	}
	return pack('a20 L< L< C x3 L< x12', CACHE_MAGIC, scalar @names, length $strings, CACHE_LITTLE, 0) . $entries . $strings;
}

# The libraries in the archive's directories, by name.
sub cached_libraries
{
	my ($archive, $is_elf, @directories) = @_;
	my (%paths, %seen);
	for my $directory (@directories) {
		my $place = $archive->resolve($directory, 1);
		next if $seen{$place}++;
		for my $name ($archive->names_in($place)) {
			next unless $name =~ /\.so(?:\.|\z)/;
			my $node = $archive->find("$place/$name");
			$paths{$name} //= "$directory/$name" if $node and defined $node->{path} and $is_elf->($node->{path});
		}
	}
	return \%paths;
}

# ---- All of it ------------------------------------------------------------------------------------------------

# Adds the libraries and interpreters of all files in the archive but those of `given`, nodes by name, which are as they are; and of these in
# turn; and the loader's cache, if the archive has none.
sub add_libraries
{
	my ($archive, $given) = @_;
	my (%elf, %done, %found_in);
	my $look = sub { my ($path) = @_; return $elf{$path} //= read_elf($path) // 0 };
	my @left = grep { !$given->{$_} } $archive->names;
	while (defined(my $name = shift @left)) {
		my $node = $archive->find($name);
		next unless $node and S_ISREG($node->{mode}) and defined $node->{path} and not $done{$node->{path}}++;
		next unless $node->{mode} & 0111 or $name =~ /\.so(?:\.|\z)/;
		my $elf = $look->($node->{path}) or next;
		my @needed = @{$elf->{needed}};
		for (@needed, map { @{$hidden{$_} // []} } @needed) {
			my $directory = add_library($archive, $_, "/$name", $elf) // next;
			$found_in{$directory} = 1;
			push @left, "$directory/$_";
		}
		if (defined $elf->{interpreter}) {
			add_with_links($archive, $elf->{interpreter}) unless $archive->find($elf->{interpreter}) or not -e $elf->{interpreter};
			push @left, $elf->{interpreter};
		}
	}
	return if not %found_in or $archive->find(CACHE_FILE);
	my $paths = cached_libraries($archive, $look, @usual, sort keys %found_in);
	$archive->add_bytes(CACHE_FILE, cache_bytes($paths));
}

1;
