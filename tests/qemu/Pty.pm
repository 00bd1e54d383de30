# A command on a terminal of its own (a pseudo-terminal), with a person's hands and eyes: type, wait for text, look at the
# terminal's settings.
package Pty;
use strict;
use warnings;
use Fcntl;
use POSIX qw(:sys_wait_h :termios_h);
use Time::HiRes qw(time);

# <asm-generic/ioctls.h>, x86-64
use constant {
	TIOCSCTTY  => 0x540e,
	TIOCSWINSZ => 0x5414,
	TIOCSPTLCK => 0x40045431,
	TIOCGPTN   => 0x80045430,
	CHUNK      => 4096,
	GLANCE     => 0.05, # seconds between looks whether the command has ended
};

# Starts a command on a new terminal of so many rows and columns.
sub start
{
	my ($class, $rows, $columns, @command) = @_;
	sysopen my $keys, '/dev/ptmx', O_RDWR | O_NOCTTY or die "/dev/ptmx: $!";
	my $number = pack 'i', 0;
	ioctl $keys, TIOCSPTLCK, $number or die "TIOCSPTLCK: $!";
	ioctl $keys, TIOCGPTN, $number or die "TIOCGPTN: $!";
	my $path = '/dev/pts/' . unpack 'i', $number;
	# Ours too, to look at its settings; it also keeps the terminal there when the command is gone.
	sysopen my $terminal, $path, O_RDWR | O_NOCTTY or die "$path: $!";
	my $size = pack 'SSSS', $rows, $columns, 0, 0;
	ioctl $terminal, TIOCSWINSZ, $size or die "TIOCSWINSZ: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		POSIX::setsid();
		ioctl $terminal, TIOCSCTTY, 0 or die "TIOCSCTTY: $!";
		open STDIN,  '<&', $terminal;
		open STDOUT, '>&', $terminal;
		open STDERR, '>&', $terminal;
		exec { $command[0] } @command or POSIX::_exit(99);
	}
	return bless {keys => $keys, terminal => $terminal, pid => $pid, seen => '', status => undef}, $class;
}

# Sends keys.
sub type
{
	my ($self, $keys) = @_;
	syswrite $self->{keys}, $keys;
}

# Takes what has come, waiting for it at most so long; false if nothing did.
sub look
{
	my ($self, $seconds) = @_;
	my $ready = '';
	vec($ready, fileno $self->{keys}, 1) = 1;
	return 0 unless select $ready, undef, undef, $seconds;
	return sysread $self->{keys}, $self->{seen}, CHUNK, length $self->{seen};
}

# Waits until the text is there that has not been waited for yet; everything up to its end, which is then gone. undef if it
# does not come.
sub expect
{
	my ($self, $text, $seconds) = @_;
	my $end = time + $seconds;
	until ($self->{seen} =~ /$text/) {
		my $left = $end - time;
		return undef if $left <= 0;
		last if not $self->look($left < GLANCE ? $left : GLANCE) and $self->ended;
	}
	return undef unless $self->{seen} =~ s/^(.*?$text)//s;
	return $1;
}

sub ended
{
	my ($self) = @_;
	if (not defined $self->{status} and waitpid($self->{pid}, WNOHANG) == $self->{pid}) {
		$self->{status} = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
	}
	return defined $self->{status};
}

# Waits for the command's end; its status, or what became of it, and all that was not waited for.
sub finish
{
	my ($self, $seconds) = @_;
	my $end = time + $seconds;
	$self->look(GLANCE) until $self->ended or time > $end;
	if (not $self->ended) {
		kill 'KILL', $self->{pid};
		waitpid $self->{pid}, 0;
		$self->{status} = 'no end';
	}
	1 while $self->look(0);
	return ($self->{status}, $self->{seen});
}

sub pid
{
	my ($self) = @_;
	return $self->{pid};
}

# The terminal's flags: input, output, control, local.
sub settings
{
	my ($self) = @_;
	my $settings = POSIX::Termios->new;
	$settings->getattr(fileno $self->{terminal}) // die "tcgetattr: $!";
	return [$settings->getiflag, $settings->getoflag, $settings->getcflag, $settings->getlflag];
}

1;
