package campaign

// Section is what the page says of many clusters.
func Section(page string) (string, error) { return section.In(page) }

// QueuesAt reads the queues of a manager.
var QueuesAt = queuesAt
