import { dataSource } from './data-source.js'

await dataSource.initialize()
if (process.argv[2] === 'down') await dataSource.undoLastMigration({ transaction: 'each' })
else console.log((await dataSource.runMigrations({ transaction: 'each' })).map(({ name }) => name))
await dataSource.destroy()
