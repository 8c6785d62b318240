/**
 * The group that a raft script speaks to. Nothing moves by itself: messages lie in the network until they are
 * delivered, and time stands until it is told to pass. After every command election safety and state-machine safety
 * are checked (Raft Figure 3). The commands are described in tests/unit/testdata/raft/README.md.
 */
import { assert, type ReplicaId, replicaId } from '../../../src/base/index.js';
import { type Configuration, type Entry, EntryType, type Message } from '../../../src/raft/index.js';
import { type Outlet, ScriptReplica } from './script-replica.js';
import { entryText, isHeartbeat, messageText, progressText, statusText } from './script-text.js';

const mostDeliveries = 2000;
const nowhere: Configuration = { voters: [], outgoing: [], learners: [], learnersNext: [] };

type Command = (...words: string[]) => void;

const idsOf = (text: string): ReplicaId[] =>
  text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => replicaId(Number(part)));

/** `name=value` words. */
const settings = (words: readonly string[]): Map<string, string> =>
  new Map(words.map((word) => word.split('=') as [string, string]));

const linkOf = (text: string): [ReplicaId, ReplicaId] => {
  const [from, to] = text.split('->').map((part) => replicaId(Number(part)));
  assert(from !== undefined && to !== undefined, `${text} is no link`);
  return [from, to];
};

export class ScriptCluster {
  private readonly replicas = new Map<ReplicaId, ScriptReplica>();
  private network: Message[] = [];
  private readonly cut = new Set<string>();
  private nowMs = 0;
  private lines: string[] = [];
  private showHeartbeats = false;
  private showMessages = true;
  private readonly leaderOfTerm = new Map<number, ReplicaId>();
  private readonly appliedAt = new Map<number, string>();

  private readonly outlet: Outlet = {
    say: (line) => this.lines.push(line),
    send: (message) => {
      const isLost = this.isCut(message);
      this.sayMessage(message, isLost ? ' (lost)' : '');
      if (isLost) this.onLost(message);
      else this.network.push(message);
    },
    onLeader: (term, leader) => {
      const known = this.leaderOfTerm.get(term);
      assert(known === undefined || known === leader, `two leaders in term ${term}: ${known} and ${leader}`);
      this.leaderOfTerm.set(term, leader);
    },
    onApplied: (entries) => {
      for (const entry of entries) {
        const known = this.appliedAt.get(entry.index);
        const text = entryText(entry);
        assert(known === undefined || known === text, `applied ${known} on one replica and ${text} on another`);
        this.appliedAt.set(entry.index, text);
      }
    },
  };

  private readonly commands: Record<string, Command> = {
    cluster: (size = '', ...words) => this.begin(Number(size), settings(words)),
    given: (id = '', ...words) => this.given(this.get(id), settings(words)),
    start: (id = '') => this.create(replicaId(Number(id)), nowhere),
    show: (what) => this.show(what, true),
    hide: (what) => this.show(what, false),
    wait: (ms = '') => this.pass(Number(ms), () => {}),
    run: (ms = '') => this.pass(Number(ms), () => this.stabilize()),
    tick: (id = '', ms = '') => this.tick(this.get(id), this.nowMs + Number(ms)),
    campaign: (id = '') => this.campaign(this.get(id)),
    clock: (id = '', ms = '') => {
      this.get(id).clockSkewMs += Number(ms);
      this.tick(this.get(id), this.nowMs);
    },
    time: () => this.outlet.say(`${this.nowMs} ms`),
    deliver: (link = '', count = 'all') => this.deliver(link, Number(count)),
    votes: () => this.deliverVotes(),
    stabilize: () => this.stabilize(),
    drop: (link = '') => {
      for (const message of this.take(link)) this.lose(message);
    },
    double: (link = '') => {
      this.network.push(...this.take(link, true));
    },
    cut: (link = '') => this.cutLink(...linkOf(link)),
    partition: (...words) => this.partition(words),
    heal: () => this.cut.clear(),
    disk: (id = '', mode) => {
      const replica = this.get(id);
      replica.isDiskManual = mode === 'manual';
      if (!replica.isDiskManual) replica.persist(Number.POSITIVE_INFINITY);
    },
    persist: (id = '', count = '1') => {
      const replica = this.get(id);
      if (!replica.persist(count === 'all' ? Number.POSITIVE_INFINITY : Number(count))) this.outlet.say('no write');
    },
    crash: (id = '') => this.get(id).crash(),
    restart: (id = '') => {
      const replica = this.get(id);
      replica.restart(this.nowMs);
      replica.drain();
      this.outlet.say(statusText(replica.raft.status));
    },
    propose: (id = '', ...words) => this.propose(this.get(id), words.join(' ').replaceAll('"', '')),
    change: (id = '', ...words) => this.change(this.get(id), settings(words)),
    read: (id = '', ...contexts) => {
      const replica = this.get(id);
      const answers = contexts.map((context) => replica.raft.readIndex(context));
      if (answers.includes('notLeader')) this.outlet.say(`${id} refuses: notLeader`);
      replica.drain();
    },
    lease: (id = '') => {
      const { raft, clockSkewMs } = this.get(id);
      this.outlet.say(raft.leaseValid(this.nowMs + clockSkewMs) ? `${id} lease holds` : `${id} has no lease`);
    },
    transfer: (id = '', to = '') => {
      const replica = this.get(id);
      const answer = replica.raft.transferLeadership(replicaId(Number(to)), this.nowMs + replica.clockSkewMs);
      this.outlet.say(`${id} ${answer === 'started' ? `hands over to ${to}` : `refuses: ${answer}`}`);
      replica.drain();
    },
    disconnect: (id = '') => {
      this.get(id).raft.voidLease();
    },
    unreachable: (id = '', other = '') => this.unreachable(this.get(id), other),
    compact: (id = '', index = '') => this.get(id).compact(Number(index)),
    status: (...ids) => {
      for (const replica of this.chosen(ids)) this.outlet.say(statusText(replica.raft.status));
    },
    log: (...ids) => {
      for (const { id, log, raft } of this.chosen(ids)) {
        const before = raft.firstIndex > 1 ? `(${raft.firstIndex - 1} compacted) ` : '';
        this.outlet.say(`${id} ${before}${log.map(entryText).join(', ') || 'nothing'}`);
      }
    },
    progress: (id = '') => progressText(this.get(id).raft.status).forEach(this.outlet.say),
    network: () => {
      for (const message of this.network) this.outlet.say(messageText(message));
    },
  };

  /** Runs one line of a script; what there is to say about it. */
  perform(line: string): readonly string[] {
    const [first = '', ...rest] = line.trim().split(/\s+/);
    const isPrefix = first === 'quietly' || first === 'silently';
    const [name = '', ...words] = isPrefix ? rest : [first, ...rest];
    const command = this.commands[name];
    if (command === undefined) throw new Error(`unknown command: ${line}`);
    this.lines = [];
    this.showMessages = !isPrefix;
    command(...words);
    return first === 'silently' ? [] : this.lines;
  }

  private get(id: string): ScriptReplica {
    const found = this.replicas.get(replicaId(Number(id)));
    assert(found !== undefined, `there is no replica ${id}`);
    return found;
  }

  private chosen(ids: readonly string[]): readonly ScriptReplica[] {
    if (ids.length > 0) return ids.map((id) => this.get(id));
    return this.up;
  }

  private get up(): readonly ScriptReplica[] {
    return [...this.replicas.values()].filter(({ isUp }) => isUp);
  }

  private create(id: ReplicaId, configuration: Configuration): void {
    this.replicas.set(id, new ScriptReplica(id, configuration, this.outlet, this.nowMs));
  }

  private begin(size: number, options: ReadonlyMap<string, string>): void {
    this.replicas.clear();
    this.leaderOfTerm.clear();
    this.appliedAt.clear();
    this.cut.clear();
    this.network = [];
    this.nowMs = 0;
    const learners = idsOf(options.get('learner') ?? '');
    const voters = Array.from({ length: size }, (_, at) => replicaId(at + 1));
    for (const id of [...voters, ...learners]) this.create(id, { ...nowhere, voters, learners });
  }

  /** A replica with a past, as read from its disk: the terms of its entries, its term, vote and commit index. */
  private given(replica: ScriptReplica, options: ReadonlyMap<string, string>): void {
    const number = (name: string): number => Number(options.get(name) ?? 0);
    const terms = (options.get('log') ?? '').split(',').filter((term) => term !== '');
    const entries = terms.map(
      (term, at): Entry => ({ index: at + 1, term: Number(term), type: EntryType.Normal, data: Buffer.alloc(0) }),
    );
    const votedFor = number('vote') as ReplicaId;
    replica.disk = {
      ...replica.disk,
      hardState: { currentTerm: number('term'), votedFor, commitIndex: number('commit') },
      entries,
      appliedIndex: number('commit'),
    };
    replica.restart(this.nowMs);
  }

  private show(what: string | undefined, isShown: boolean): void {
    assert(what === 'heartbeats', 'only heartbeats are shown or hidden');
    this.showHeartbeats = isShown;
  }

  private sayMessage(message: Message, fate: string): void {
    if (this.showMessages && (this.showHeartbeats || !isHeartbeat(message))) {
      this.outlet.say(`${messageText(message)}${fate}`);
    }
  }

  private tick(replica: ScriptReplica, nowMs: number): void {
    this.nowMs = nowMs;
    replica.raft.tick(nowMs + replica.clockSkewMs);
    replica.drain();
  }

  private campaign(replica: ScriptReplica): void {
    this.tick(replica, Math.max(this.nowMs, replica.raft.nextDeadlineMs - replica.clockSkewMs));
  }

  /** Time passes for everybody, from one deadline to the next. */
  private pass(ms: number, between: () => void): void {
    const untilMs = this.nowMs + ms;
    const dueOf = ({ raft, clockSkewMs }: ScriptReplica): number => raft.nextDeadlineMs - clockSkewMs;
    for (;;) {
      const nextMs = Math.min(...this.up.map(dueOf));
      if (nextMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      for (const replica of this.up) if (dueOf(replica) <= this.nowMs) this.tick(replica, this.nowMs);
      between();
    }
    this.nowMs = untilMs;
    between();
  }

  private isCut({ from, to }: Message): boolean {
    return this.cut.has(`${from}->${to}`) || this.replicas.get(to)?.isUp !== true;
  }

  /** Messages in flight on a link, or all; they leave the network unless `isCopy`. */
  private take(link: string, isCopy = false): readonly Message[] {
    const isWanted = ({ from, to }: Message): boolean => link === 'all' || link === `${from}->${to}`;
    const taken = this.network.filter(isWanted);
    if (!isCopy) this.network = this.network.filter((message) => !isWanted(message));
    if (taken.length === 0) this.outlet.say('nothing in flight');
    return taken;
  }

  private lose(message: Message): void {
    this.sayMessage(message, ' (lost)');
    this.onLost(message);
  }

  /** The host that moved the bytes of a snapshot says how that went. */
  private onLost(message: Message): void {
    if (message.type === 'SnapshotRequest') this.reportSnapshot(message, false);
  }

  private reportSnapshot({ from, to }: Message, ok: boolean): void {
    const sender = this.replicas.get(from);
    if (sender?.isUp !== true) return;
    sender.raft.reportSnapshot(to, ok);
    // A host tries again later, not at once.
    if (ok) sender.drain();
  }

  /** The oldest `count` messages in flight on a link; all of them when it is no number. */
  private deliver(link: string, count: number): void {
    const taken = this.take(link);
    const kept = taken.slice(Number.isNaN(count) ? taken.length : count);
    this.network = [...kept, ...this.network];
    for (const message of taken.slice(0, taken.length - kept.length)) {
      const before = this.lines.length;
      this.arrive(message);
      if (this.lines.length === before) this.sayMessage(message, ' (taken)');
    }
  }

  private arrive(message: Message): void {
    const to = this.replicas.get(message.to);
    if (to === undefined || this.isCut(message)) {
      this.lose(message);
      return;
    }
    to.raft.step(message, this.nowMs + to.clockSkewMs);
    to.drain();
    if (message.type === 'SnapshotRequest') this.reportSnapshot(message, true);
  }

  /** Delivers requests for votes and their answers until there are none; everything else stays in flight. */
  private deliverVotes(): void {
    const isVote = ({ type }: Message): boolean => type === 'VoteRequest' || type === 'VoteResponse';
    for (let at = this.network.findIndex(isVote); at >= 0; at = this.network.findIndex(isVote)) {
      for (const message of this.network.splice(at, 1)) this.arrive(message);
    }
  }

  private stabilize(): void {
    for (let count = 0; this.network.length > 0; count++) {
      assert(count < mostDeliveries, 'the group comes to rest');
      this.arrive(this.network.shift() as Message);
    }
  }

  private cutLink(from: ReplicaId, to: ReplicaId): void {
    this.cut.add(`${from}->${to}`);
    const lost = this.network.filter((message) => this.isCut(message));
    this.network = this.network.filter((message) => !this.isCut(message));
    for (const message of lost) this.lose(message);
  }

  /** `1 2 | 3`: only who stands on the same side hears each other. */
  private partition(words: readonly string[]): void {
    const sides = words.join(' ').split('|');
    const sideOf = new Map(sides.flatMap((side, at) => side.match(/\d+/g)?.map((id) => [Number(id), at]) ?? []) as []);
    for (const from of this.replicas.keys()) {
      for (const to of this.replicas.keys()) if (sideOf.get(from) !== sideOf.get(to)) this.cutLink(from, to);
    }
  }

  /** Text, or `x*250`: that many of a letter. */
  private propose(replica: ScriptReplica, text: string): void {
    const [letter = '', count] = text.split('*');
    const answer = replica.raft.propose(Buffer.from(count === undefined ? text : letter.repeat(Number(count))));
    if (typeof answer === 'string') this.outlet.say(`${replica.id} refuses: ${answer}`);
    replica.drain();
  }

  private change(replica: ScriptReplica, options: ReadonlyMap<string, string>): void {
    const voters = idsOf(options.get('voters') ?? '');
    const learners = idsOf(options.get('learners') ?? '');
    const answer = replica.raft.proposeConfiguration({ voters, learners });
    if (typeof answer === 'string') this.outlet.say(`${replica.id} refuses: ${answer}`);
    replica.drain();
  }

  /** `unreachable 2`: nobody listens where 2's leader is; `unreachable 1 3`: nor where 1's follower 3 is. */
  private unreachable(replica: ScriptReplica, other: string): void {
    const nowMs = this.nowMs + replica.clockSkewMs;
    if (other === '') replica.raft.leaderUnreachable(nowMs);
    else replica.raft.reportUnreachable(replicaId(Number(other)), nowMs);
    replica.drain();
  }
}
