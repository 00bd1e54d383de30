# What the checks of this directory share: the project's files, and scratch files for their self-checks.
package Sources;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Find;
use File::Temp;

our @EXPORT = qw(sources contents scratch_file);

my $root = dirname(dirname(dirname(abs_path(__FILE__))));
chdir $root or die "$root: $!";

# The project's own text files whose names match, from its top; nothing built.
sub sources
{
	my ($pattern, @under) = @_;
	my @found;
	@under = qw(boot kern include tests user bench tools docs Makefile linker.ld README.md) unless @under;
	find({no_chdir => 1, wanted => sub { push @found, $_ if -f and /$pattern/ and not m{__pycache__} }},
		grep { -e } @under);
	return sort @found;
}

sub contents
{
	my ($path) = @_;
	open my $from, '<', $path or die "$path: $!";
	local $/;
	return scalar <$from> // '';
}

my $scratch;

sub scratch_file
{
	my ($name, $text) = @_;
	$scratch //= File::Temp->newdir;
	open my $to, '>', "$scratch/$name" or die "$scratch/$name: $!";
	print $to $text;
	close $to or die "$scratch/$name: $!";
	return "$scratch/$name";
}

1;
