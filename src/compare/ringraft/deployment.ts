/** What the cluster under comparison is called, for those who start it and those who ask it. */
export const clusterName = 'compare';
export const bucketName = 'compare';
