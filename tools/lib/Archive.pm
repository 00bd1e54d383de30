# A boot archive in the making: a tree of directories, files, links and nodes, and the cpio file that it
# is written to.
#
# The format is in include/kern/phoenix_abi.h. What belongs into a system is not known here: see Root.pm. Names
# are those in the archive, with or without a slash in front. As in a file system, a symbolic link
# in the middle of a name is followed, within the archive. Mistakes die with a line that ends in a newline.
package Archive;
use strict;
use warnings;
use Fcntl qw(:mode);

use constant {
	PAGE          => 4096,
	HEADER_BYTES  => 110,
	ALIGN         => 4,
	CHUNK         => 1 << 20,
	LARGEST_FILE  => 0xffffffff, # eight digits
	MOST_LINKS    => 40,         # followed one after the other, as Linux does
	LONGEST_NAME  => 4095,
	NEW_DIRECTORY => S_IFDIR | 0755,
	SYMLINK_MODE  => S_IFLNK | 0777,
};

sub new
{
	my ($class) = @_;
	return bless {nodes => {'' => {mode => NEW_DIRECTORY}}}, $class;
}

# ---- Names -----------------------------------------------------------------------------------------

sub joined
{
	my ($directory, $name) = @_;
	return $directory eq '' ? $name : "$directory/$name";
}

# The name with every symbolic link replaced by what it stands for; of the last part only if `follow`. Of the parts that
# are not there, and after them, nothing is a link.
sub resolve
{
	my ($self, $name, $follow) = @_;
	my @left = grep { length } split m{/}, $name;
	my ($at, $links) = ('', 0);
	while (@left) {
		my $part = shift @left;
		next if $part eq '.';
		$at =~ s{(^|/)[^/]*\z}{}, next if $part eq '..';
		my $node = $self->{nodes}{joined($at, $part)};
		if ($node and S_ISLNK($node->{mode}) and (@left or $follow)) {
			die "/$name: too many symbolic links\n" if ++$links > MOST_LINKS;
			$at = '' if $node->{bytes} =~ m{^/};
			unshift @left, grep { length } split m{/}, $node->{bytes};
			next;
		}
		$at = joined($at, $part);
	}
	return $at;
}

# What the name stands for in the end, {mode, ...}; undef if nothing.
sub find
{
	my ($self, $name) = @_;
	return $self->{nodes}{$self->resolve($name, 1)};
}

# Puts a node under the name, and directories above it where there are none. What was there is replaced, except
# that a directory stays one, be it through a link.
sub put
{
	my ($self, $name, $node) = @_;
	my $place = $self->resolve($name, 0);
	die "/$name: no name for a file\n" if $place eq '' and not S_ISDIR($node->{mode});
	die "/$name: the name is too long\n" if length $place > LONGEST_NAME;
	my $nodes = $self->{nodes};
	my @above = split m{/}, $place;
	pop @above;
	for my $depth (0 .. $#above) {
		my $directory = join '/', @above[0 .. $depth];
		$nodes->{$directory} //= {mode => NEW_DIRECTORY};
		die "/$name: /$directory is not a directory\n" unless S_ISDIR($nodes->{$directory}{mode});
	}
	my $old = $nodes->{$place};
	if ($old and S_ISDIR($node->{mode}) and S_ISLNK($old->{mode})) {
		my $target = $self->find($place);
		return if $target and S_ISDIR($target->{mode});
	}
	if ($old and S_ISDIR($old->{mode}) and not S_ISDIR($node->{mode})) {
		die "/$name: a directory that is not empty is in the way\n" if grep { m{^\Q$place\E/} } keys %$nodes;
	}
	$nodes->{$place} = $node;
}

# All names.
sub names
{
	my ($self) = @_;
	return sort grep { length } keys %{$self->{nodes}};
}

# The names in a directory, which is given without links.
sub names_in
{
	my ($self, $directory) = @_;
	return map { m{^\Q$directory\E/([^/]+)\z} ? $1 : () } $self->names;
}

# ---- What can be put in ----------------------------------------------------------------------------

sub add_directory
{
	my ($self, $name, $permissions) = @_;
	$self->put($name, {mode => S_IFDIR | $permissions});
}

sub add_bytes
{
	my ($self, $name, $bytes, $permissions) = @_;
	$self->put($name, {mode => S_IFREG | ($permissions // 0644), bytes => $bytes});
}

sub add_symlink
{
	my ($self, $name, $target) = @_;
	$self->put($name, {mode => SYMLINK_MODE, bytes => $target});
}

# A file of this machine with its contents alone: owner and time are not taken over.
sub add_file
{
	my ($self, $name, $path, $permissions) = @_;
	$self->put($name, {mode => S_IFREG | $permissions, path => $path});
}

# A file of this machine as it is: kind, permissions, owner, time, links. Of a directory not what is in it.
sub add_as_is
{
	my ($self, $name, $path) = @_;
	my ($device, $inode, $mode, $links, $uid, $gid, $special, undef, undef, $mtime) = lstat $path
		or die "cannot read $path: $!\n";
	my %node = (mode => $mode, uid => $uid, gid => $gid, mtime => $mtime > 0 ? $mtime : 0);
	$node{path} = $path if S_ISREG($mode);
	$node{same} = "$device:$inode" if $links > 1 and not S_ISDIR($mode);
	$node{special} = $special if S_ISCHR($mode) or S_ISBLK($mode);
	if (S_ISLNK($mode)) {
		$node{bytes} = readlink $path // die "cannot read $path: $!\n";
	}
	$self->put($name, \%node);
	return $mode;
}

# A file or a directory with all that is in it, as it is.
sub add_tree
{
	my ($self, $name, $path) = @_;
	return unless S_ISDIR($self->add_as_is($name, $path));
	opendir my $directory, $path or die "cannot read $path: $!\n";
	my @names = sort grep { !/^\.\.?$/ } readdir $directory;
	closedir $directory;
	$self->add_tree(joined($name, $_), joined($path, $_)) for @names;
}

# ---- Writing it ------------------------------------------------------------------------------------

sub emit
{
	my ($self, $bytes) = @_;
	print {$self->{to}} $bytes or die "cannot write $self->{file}: $!\n";
	$self->{offset} += length $bytes;
}

# A device's numbers as the C library packs them into st_rdev.
sub device_numbers
{
	my ($special) = @_;
	my $major = ($special >> 8 & 0xfff) | ($special >> 32 & ~0xfff);
	my $minor = ($special & 0xff) | ($special >> 12 & 0xffffff00);
	return ($major, $minor);
}

# The name's field is padded until the contents can begin: those of a file on a page.
sub emit_header
{
	my ($self, $name, $node, $inode, $links, $bytes) = @_;
	my $align = S_ISREG($node->{mode}) && $bytes ? $self->{page} : ALIGN;
	my $name_bytes = length($name) + 1;
	$name_bytes += -($self->{offset} + HEADER_BYTES + $name_bytes) % $align;
	$self->emit(sprintf '070701' . '%08X' x 13, $inode, $node->{mode}, $node->{uid} // 0, $node->{gid} // 0, $links,
		$node->{mtime} // 0, $bytes, 0, 0, device_numbers($node->{special} // 0), $name_bytes, 0);
	$self->emit(pack "a$name_bytes", $name);
}

sub emit_file
{
	my ($self, $name, $node, $inode, $links) = @_;
	my $path = $node->{path};
	open my $from, '<:raw', $path or die "cannot read $path: $!\n";
	my $bytes = -s $from;
	die "$path is too big for a boot archive\n" if $bytes > LARGEST_FILE;
	$self->emit_header($name, $node, $inode, $links, $bytes);
	for (my $left = $bytes; $left > 0;) {
		my $got = sysread $from, my $chunk, $left < CHUNK ? $left : CHUNK;
		die "cannot read $path: " . ($! || 'it got shorter') . "\n" unless $got;
		$self->emit($chunk);
		$left -= $got;
	}
}

# The names in the order of the archive: a directory before what is in it; those of a file that has several together, after
# all others.
sub names_in_order
{
	my ($self) = @_;
	my (@names, %linked);
	for my $name (map { tr{\0}{/}r } sort map { tr{/}{\0}r } grep { length } keys %{$self->{nodes}}) {
		my $same = $self->{nodes}{$name}{same};
		push @{defined $same ? $linked{$same} //= [] : \@names}, $name;
	}
	return (@names, map { @$_ } sort { $a->[0] cmp $b->[0] } values %linked);
}

# How many names each file that has several has in the archive.
sub count_links
{
	my ($self) = @_;
	my %links;
	for my $node (values %{$self->{nodes}}) {
		$links{$node->{same}}++ if defined $node->{same};
	}
	return \%links;
}

# Writes the file; equal trees give equal bytes. Contents begin on pages, unless `page` says otherwise: Linux leaves out names that were padded for that
# to more than a path may have.
sub write
{
	my ($self, $file, $page) = @_;
	$self->{page} = $page // PAGE;
	my $links = $self->count_links;
	my ($inode, $before) = (0, '');
	open $self->{to}, '>:raw', $file or die "cannot write $file: $!\n";
	($self->{file}, $self->{offset}) = ($file, 0);
	for my $name ($self->names_in_order) {
		my $node = $self->{nodes}{$name};
		my $same = $node->{same} // '';
		my $again = $same ne '' && $same eq $before;
		my $count = $links->{$same} // 1;
		$before = $same;
		$inode++ unless $again;
		if (defined $node->{path} and not $again) {
			$self->emit_file($name, $node, $inode, $count);
		} else {
			my $bytes = $node->{bytes} // '';
			$self->emit_header($name, $node, $inode, $count, length $bytes);
			$self->emit($bytes);
		}
		$self->emit("\0" x (-$self->{offset} % ALIGN));
	}
	$self->emit_header('TRAILER!!!', {mode => 0}, 0, 1, 0);
	$self->emit("\0" x (-$self->{offset} % PAGE));
	close $self->{to} or die "cannot write $file: $!\n";
}

1;
