/** The compiled messages. The only door to protobufjs; everything else speaks the domain types of src/wire. */
export { ringraft as messages } from './generated/messages.js';
