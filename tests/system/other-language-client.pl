#!/usr/bin/perl
# A client of the public API written from docs/protocol.md alone: a TCP socket and NATS's text protocol, no library but
# what perl-base has. Usage: other-language-client.pl HOST PORT. Prints one line a step, `name: what came back`.
use strict;
use warnings;
use IO::Socket::INET;

my ($host, $port) = @ARGV;
my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp') or die "connect: $!";
binmode $socket;
$socket->autoflush(1);
$| = 1;

sub read_line {
  my $line = <$socket>;
  die "the connection is closed\n" unless defined $line;
  $line =~ s/\r\n\z//;
  return $line;
}

sub read_bytes {
  my ($count) = @_;
  my $bytes = '';
  while (length $bytes < $count) {
    my $read = read $socket, $bytes, $count - length $bytes, length $bytes;
    die "the connection is closed\n" unless $read;
  }
  return $bytes;
}

read_line() =~ /^INFO / or die "no NATS server\n";
print {$socket} qq(CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"perl","version":"0"}\r\n);
print {$socket} "SUB answer.* 1\r\nPING\r\n";
read_line() eq 'PONG' or die "not connected\n";

my $last = 0;

# Sends one request and waits for its answer: { status, headers => {...}, body }.
sub request {
  my ($subject, $body, %headers) = @_;
  my $reply = 'answer.' . ++$last;
  if (%headers) {
    my $head = "NATS/1.0\r\n" . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n";
    my $total = length($head) + length $body;
    print {$socket} "HPUB $subject $reply " . length($head) . " $total\r\n$head$body\r\n";
  } else {
    print {$socket} "PUB $subject $reply " . length($body) . "\r\n$body\r\n";
  }
  while (1) {
    my $line = read_line();
    if ($line eq 'PING') { print {$socket} "PONG\r\n"; next }
    die "$line\n" if $line =~ /^-ERR/;
    if ($line =~ /^MSG (\S+) \S+ (\d+)$/) {
      my $payload = read_bytes($2 + 2);
      next if $1 ne $reply;
      return { status => '', headers => {}, body => substr($payload, 0, -2) };
    }
    if ($line =~ /^HMSG (\S+) \S+ (\d+) (\d+)$/) {
      my ($to, $head_length, $total) = ($1, $2, $3);
      my $payload = read_bytes($total + 2);
      next if $to ne $reply;
      my ($version, @lines) = split /\r\n/, substr($payload, 0, $head_length);
      my %got = map { /^([^:]+):\s*(.*)$/ ? ($1 => $2) : () } @lines;
      my ($status) = $version =~ /^NATS\/1\.0\s*(\d*)/;
      return { status => $status, headers => \%got, body => substr($payload, $head_length, $total - $head_length) };
    }
  }
}

# The error of an answer as `STATUS CODE`, else what the caller wants to see of it.
sub outcome {
  my ($answer, $want) = @_;
  return "nobody listens ($answer->{status})" if $answer->{status} eq '503' && $answer->{body} eq '';
  my $status = $answer->{headers}{'Nats-Service-Error-Code'};
  return $want->($answer) unless defined $status;
  my ($code) = $answer->{headers}{'Nats-Service-Error'} =~ /^([A-Z_]+):/;
  my ($happened) = $answer->{body} =~ /"happened":"(no|unknown)"/;
  return "error $status $code, happened: $happened";
}

sub body_of { return $_[0]{body} }
sub revision_of { return 'revision ' . $_[0]{headers}{'Kv-Revision'} }

sub say_step {
  my ($name, $answer, $want) = @_;
  print "$name: ", outcome($answer, $want // \&body_of), "\n";
  return $answer;
}

# A protobuf field: bytes (type 2) or a number (type 0).
sub varint {
  my ($number) = @_;
  my $bytes = '';
  while ($number > 127) { $bytes .= chr(($number & 127) | 128); $number >>= 7 }
  return $bytes . chr $number;
}
sub bytes_field { my ($field, $bytes) = @_; return varint($field << 3 | 2) . varint(length $bytes) . $bytes }

sub fields_of {
  my ($message) = @_;
  my ($at, %fields) = (0);
  my $next = sub {
    my ($number, $shift) = (0, 0);
    while (1) {
      my $byte = ord substr $message, $at++, 1;
      $number |= ($byte & 127) << $shift;
      return $number if $byte < 128;
      $shift += 7;
    }
  };
  while ($at < length $message) {
    my $tag = $next->();
    if (($tag & 7) == 0) { $fields{ $tag >> 3 } = $next->(); next }
    die "wire type of $tag\n" unless ($tag & 7) == 2;
    my $length = $next->();
    $fields{ $tag >> 3 } = substr $message, $at, $length;
    $at += $length;
  }
  return \%fields;
}

# Key in the subject.
say_step('get of a missing key', request('kv.get.default.perl', ''));
my $put = say_step('put', request('kv.put.default.perl', 'camel'), \&revision_of);
say_step('get', request('kv.get.default.perl', ''));
say_step('get, lease', request('kv.get.default.perl', '', 'Kv-Consistency' => 'lease'), sub { $_[0]{headers}{'Kv-Stale'} });
my $revision = $put->{headers}{'Kv-Revision'};
say_step('cas', request('kv.cas.default.perl', 'dromedary', 'Kv-Expected-Revision' => $revision), sub { 'done' });
my $conflict = say_step('cas again', request('kv.cas.default.perl', 'llama', 'Kv-Expected-Revision' => $revision));
print 'the conflict names the revision: ', ($conflict->{headers}{'Kv-Revision'} > $revision ? 'yes' : 'no'), "\n";
say_step('get after cas', request('kv.get.default.perl', ''));
say_step('exists', request('kv.exists.default.perl', ''));
say_step('incr', request('kv.incr.default.visits', ''));
say_step('incr by 41', request('kv.incr.default.visits', '41'));
say_step('incr, once', request('kv.incr.default.visits', '', 'Kv-Request-Id' => 'perl-1'));
say_step('incr, once, again', request('kv.incr.default.visits', '', 'Kv-Request-Id' => 'perl-1'));
say_step('append', request('kv.append.default.perl', ' and camel'), sub { $_[0]{headers}{'Kv-Bytes'} });
say_step('ttl of what lives for ever', request('kv.ttl.default.perl', ''));
say_step('touch', request('kv.touch.default.perl', '', 'Kv-Ttl' => 60000), sub { $_[0]{headers}{'Kv-Found'} });
say_step('ttl is within a minute', request('kv.ttl.default.perl', ''),
  sub { $_[0]{body} > 0 && $_[0]{body} <= 60000 ? 'yes' : 'no' });
say_step('putIfAbsent', request('kv.putIfAbsent.default.perl', 'x'));
say_step('a misspelt header', request('kv.put.default.perl', 'x', 'Kv-Expected-Revison' => 1));

# JSON.
my $json = sub { my $text = $_[0]{body}; $text =~ s/"revision":\d+/"revision":R/g; return $text };
say_step('JSON put', request('kv.put.default', '{"keyB64":"/w==","value":"one"}'), $json);
say_step('JSON get', request('kv.get.default', '{"keyB64":"/w=="}', 'Content-Type' => 'application/json'), $json);
say_step('JSON with a misspelt field', request('kv.put.default', '{"key":"a","value":"b","ifabsent":true}'));
say_step('batch',
  request('kv.batch.default', '{"ops":[{"op":"put","key":"s/1","value":"a"},{"op":"put","key":"s/2","value":"b"},'
    . '{"op":"get","key":"none"},{"op":"incr","key":"visits","by":-1},{"op":"exists","key":"none"}]}'), $json);
say_step('scan', request('kv.scan.default', '{"prefix":"s/","limit":1}'), $json);
say_step('scan on', request('kv.scan.default', '{"prefix":"s/","after":"s/1"}'), $json);
say_step('raw scan', request('kv.scan.default.s/', '', 'Kv-Keys-Only' => 'true', 'Kv-Reverse' => 'true'), $json);
say_step('count', request('kv.count.default.s/', ''));

# Protobuf: KvRequest has key = 2, value = 3, consistency = 10; KvAnswer has value = 3, error = 1; KvError has code = 1.
my @protobuf = ('Content-Type' => 'application/protobuf');
say_step('protobuf put', request('kv.put.default', bytes_field(2, "\0\1") . bytes_field(3, 'bytes'), @protobuf),
  sub { fields_of($_[0]{body})->{4} > 0 ? 'has a revision' : 'has none' });
say_step('protobuf get', request('kv.get.default', bytes_field(2, "\0\1"), @protobuf),
  sub { fields_of($_[0]{body})->{3} });
my $missing = request('kv.get.default', bytes_field(2, 'none'), @protobuf);
print 'protobuf error: ', fields_of(fields_of($missing->{body})->{1})->{1}, "\n";

# Errors, and nobody there.
say_step('no such bucket', request('kv.get.none.key', ''));
say_step('too large', request('kv.put.default.large', 'x' x 600_000));
say_step('delete', request('kv.del.default.perl', ''), sub { $_[0]{headers}{'Kv-Found'} });
say_step('delete again', request('kv.del.default.perl', ''), sub { $_[0]{headers}{'Kv-Found'} });
say_step('no such operation', request('kv.drop.default.perl', ''));
say_step('service', request('$SRV.PING.ringraft', ''), sub { $_[0]{body} =~ /"name":"(\w+)"/; $1 });
