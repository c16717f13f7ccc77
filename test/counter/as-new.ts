/** Makes the schema's tables as they are at the start, but for the epoch, which is 1. */
export const AS_NEW = "UPDATE visitors SET visitor_count = 0, epoch = 1, counting = 'redis'; TRUNCATE resets";
