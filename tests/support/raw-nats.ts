/** A bare connection to a NATS server: sends what no client library would. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export class RawNats {
  private constructor(private readonly socket: Socket) {}

  static async connect(port: number): Promise<RawNats> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('data', (bytes) => {
      if (bytes.includes('PING')) socket.write('PONG\r\n');
    });
    socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n');
    return new RawNats(socket);
  }

  /** The subject's characters are its bytes. `headers` are all the bytes between subject line and body, right or wrong. */
  publish(subject: string, body: Buffer, options: { readonly replyTo?: string; readonly headers?: Buffer } = {}): void {
    const { replyTo, headers } = options;
    const target = replyTo === undefined ? subject : `${subject} ${replyTo}`;
    const line =
      headers === undefined
        ? `PUB ${target} ${body.length}\r\n`
        : `HPUB ${target} ${headers.length} ${headers.length + body.length}\r\n`;
    this.socket.write(
      Buffer.concat([Buffer.from(line, 'latin1'), headers ?? Buffer.alloc(0), body, Buffer.from('\r\n')]),
    );
  }

  /** Resolves once the server has taken what was published so far off this process's hands. */
  async drained(): Promise<void> {
    if (this.socket.writableNeedDrain) await once(this.socket, 'drain');
  }

  close(): void {
    this.socket.destroy();
  }
}
