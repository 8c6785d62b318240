/** The text of a nats-server configuration with TLS and one account whose users have nkeys. Pure. */
import type { Permissions, UserName } from './permissions.js';

export type ServerUser = {
  readonly name: UserName;
  readonly publicKey: string;
  readonly permissions: Permissions;
};

export type ServerConfig = {
  /** `address:port`. */
  readonly listen: string;
  /** nats-server takes relative paths from where it was started, so these are absolute. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly users: readonly ServerUser[];
};

/** A handshake on a busy machine takes longer than the server's own two seconds allow. */
const tlsTimeoutSeconds = 5;

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;

const list = (subjects: readonly string[]): string =>
  ['[', ...subjects.map((subject) => `          ${quoted(subject)}`), '        ]'].join('\n');

const userText = ({ name, publicKey, permissions }: ServerUser): string => `    # ${name}
    {
      nkey: ${publicKey}
      permissions: {
        publish: ${list(permissions.publish)}
        subscribe: ${list(permissions.subscribe)}
      }
    }`;

export const serverConfigText = ({ listen, certFile, keyFile, caFile, users }: ServerConfig): string =>
  `# Written by kvctl init --secure, and written again when it changes users: put settings of your own into a file
# that includes this one.
listen: ${quoted(listen)}

tls {
  cert_file: ${quoted(certFile)}
  key_file: ${quoted(keyFile)}
  ca_file: ${quoted(caFile)}
  timeout: ${tlsTimeoutSeconds}
}

# One account: an import from another would lose the "no responders" answer.
accounts {
  RINGRAFT {
    users = [
${users.map(userText).join('\n')}
    ]
  }
}
`;
