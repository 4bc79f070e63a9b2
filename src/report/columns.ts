export { columns } from '../sql/columns.ts'
