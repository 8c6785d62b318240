export { pageOf } from './page.js';
export { timelineOf } from './picture.js';
