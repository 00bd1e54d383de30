# The user's terminal: whether there is one, its size, and its mode while something else does the editing.
package Terminal;
use strict;
use warnings;
use Exporter qw(import);
use POSIX qw(:termios_h);

our @EXPORT_OK = qw(may_read terminal_size set_raw set_unedited restore_terminal);

use constant TIOCGWINSZ => 0x5413; # <asm-generic/ioctls.h>

# May the handle be read? A terminal is read only by the foreground: otherwise the system would stop us.
sub may_read
{
	my ($handle) = @_;
	return 0 unless defined fileno $handle;
	return 1 unless -t $handle;
	my $foreground = POSIX::tcgetpgrp(fileno $handle);
	return defined $foreground && $foreground == getpgrp;
}

# (rows, columns); empty if the terminal does not know.
sub terminal_size
{
	my ($handle) = @_;
	my $size = "\0" x 8;
	return () unless ioctl $handle, TIOCGWINSZ, $size;
	my ($rows, $columns) = unpack 'SS', $size;
	return $rows && $columns ? ($rows, $columns) : ();
}

# The terminal's settings from before, and whose they are.
my ($saved, $descriptor);

# Takes the standard input's settings, which restore_terminal() brings back; a copy to be changed.
sub take_settings
{
	$descriptor = 0;
	$saved      = POSIX::Termios->new;
	undef $saved, return undef unless defined $saved->getattr($descriptor);
	my $settings = POSIX::Termios->new;
	$settings->getattr($descriptor);
	return $settings;
}

# Bytes pass as they are typed and as they are sent; no key makes a signal.
sub set_raw
{
	my $settings = take_settings() or return;
	$settings->setiflag($settings->getiflag & ~(BRKINT | ICRNL | IGNBRK | IGNCR | INLCR | ISTRIP | IXON | PARMRK));
	$settings->setoflag($settings->getoflag & ~OPOST);
	$settings->setlflag($settings->getlflag & ~(ECHO | ECHONL | ICANON | IEXTEN | ISIG));
	$settings->setcflag($settings->getcflag & ~(CSIZE | PARENB) | CS8);
	$settings->setcc(VMIN,  1);
	$settings->setcc(VTIME, 0);
	$settings->setattr($descriptor, TCSANOW);
}

# For something that echoes and edits a line itself.
sub set_unedited
{
	my $settings = take_settings() or return;
	$settings->setlflag($settings->getlflag & ~(ICANON | ECHO));
	$settings->setattr($descriptor, TCSANOW);
}

sub restore_terminal
{
	return unless defined $saved;
	$saved->setattr($descriptor, TCSANOW);
	undef $saved;
}

END { restore_terminal() }

1;
