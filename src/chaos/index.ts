export { type Side, sidesOf } from './sides.js';
