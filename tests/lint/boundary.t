#!/usr/bin/perl
# The VM core keeps to its two boundaries: what it includes, what it calls, what it knows of the machine.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Sources;
use Test::More;

use constant MAX_PMAP_FUNCTIONS => 14;

my $freestanding = qr{<(?:stdbool|stddef|stdint|stdatomic)\.h>};

# Include directives of a text that are none of the allowed ones.
sub foreign_includes
{
	my ($text, $allowed) = @_;
	return grep { !/^$allowed$/ } $text =~ /^\s*#\s*include\s+(\S+)/mg;
}

# The text without comments and string literals.
sub code_of
{
	my ($text) = @_;
	$text =~ s{/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"}{ }gs;
	return $text;
}

# Page-table entries' names, which only kern/arch may know.
sub entry_names
{
	my ($text) = @_;
	return code_of($text) =~ /\b(PTE_\w+|pte_t)\b/g;
}

# Names of other parts of the machine, which the core may not know either.
sub machine_names
{
	my ($text) = @_;
	return code_of($text) =~ /\b(__asm__(?!\(\s*:)|asm(?=\s*(?:volatile|\())|cr[0348]|CR[0348]|(?:read|write)_cr\d|invlpg|\w+msr)\b/g;
}

sub declared_functions
{
	my ($text) = @_;
	return code_of($text) =~ /^(?!static|typedef|#|\s)[\w\s*]*?\b(\w+)\([^;{]*\)[^;{]*;/mg;
}

my $core = qr{<vm/\w+\.h>|"\w+\.h"|<asm/errno\.h>|$freestanding};
for my $file (sources(qr/\.[ch]$/, 'kern/vm')) {
	my $text = contents($file);
	is_deeply([foreign_includes($text, $core)], [], "$file includes only <vm/*.h> and its neighbours");
	is_deeply([grep { !-e "kern/vm/$_" } $text =~ /^#include "(.*?)"/mg], [], "$file: its neighbours are in kern/vm");
}
for my $file (sources(qr/\.h$/, 'include/vm')) {
	is_deeply([foreign_includes(contents($file), qr{<vm/\w+\.h>|$freestanding})], [], "$file stands alone");
}
for my $file (sources(qr/\.[ch]$/, 'kern/vm', 'include/vm')) {
	is_deeply([machine_names(contents($file))], [], "$file knows nothing of the machine");
}
for my $file (grep { !m{^kern/arch/} } sources(qr/\.[ch]$/, 'kern', 'include')) {
	is_deeply([entry_names(contents($file))], [], "$file knows nothing of page-table entries");
}

my @pmap = declared_functions(contents('include/vm/pmap.h'));
cmp_ok(scalar @pmap, '<=', MAX_PMAP_FUNCTIONS, 'pmap.h declares ' . @pmap . ' functions');
is_deeply([grep { !/^pmap_/ } @pmap], [], 'and all of them are the pmap\'s');

# What the linker sees, where the kernel has been built: the core calls itself and the two boundaries only.
SKIP: {
	my $objects = ($ENV{BUILD} || 'build') . '/obj/kern/vm';
	my @objects = glob "$objects/*.o";
	skip 'the kernel is not built', 1 unless @objects;
	my %known = map { $_ => 1 } @pmap, 'kernel_pmap', declared_functions(contents('include/vm/env.h'));
	$known{$_} = 1 for env_impl_names();
	my (@undefined);
	for (`nm @objects`) {
		$known{$1} = 1 if /^[0-9a-f]+ [TDBRC] (\w+)$/;
		push @undefined, $1 if /^\s+U (\w+)$/;
	}
	my %foreign = map { $_ => 1 } grep { !$known{$_} } @undefined;
	is_deeply([sort keys %foreign], [], 'the core\'s objects refer to nothing beyond the boundaries');
}

# Names that env_impl.h, the kernel's side of env.h, brings with it.
sub env_impl_names
{
	return map { code_of(contents($_)) =~ /\b(\w+)\b/g } grep { -e } 'include/kern/vm/env_impl.h';
}

is_deeply([foreign_includes("#include <vm/vm.h>\n#include <kern/kern.h>\n", $core)], ['<kern/kern.h>'],
	'a foreign include is found');
is_deeply([entry_names("int f(void) { /* PTE_NX */ return PTE_WRITE | \"PTE_X\"[0]; }")], ['PTE_WRITE'],
	'a name of a page-table entry is found');
is_deeply([machine_names("void f(void) { asm volatile(\"cli\"); }\n#include <asm/errno.h>\n")], ['asm'],
	'a machine instruction is found');
is_deeply([declared_functions("int f(void);\nstruct s;\nvoid *g(int a,\n  int b);\nstatic inline int h(void);\n")],
	['f', 'g'], 'declared functions are found');
done_testing();
